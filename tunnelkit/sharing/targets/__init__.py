"""
Targets: connections to what is shared.
"""
