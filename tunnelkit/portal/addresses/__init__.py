"""
Addresses: sockets at them, how they are written and looked up, and which are one's own.
"""
