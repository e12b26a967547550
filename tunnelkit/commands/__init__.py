"""
The commands: options, services, and the one place that imports the reactor.
"""
