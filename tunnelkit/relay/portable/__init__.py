"""
The relay over Twisted's own transports, for every reactor and system.
"""
