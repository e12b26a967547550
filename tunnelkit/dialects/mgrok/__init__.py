"""
mgrok: tunnels of its stock clients, and our clients at its stock servers.
"""
