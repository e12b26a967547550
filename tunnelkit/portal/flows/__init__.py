"""
Flows through portals: their senders at the near one, their sockets at the far one.
"""
