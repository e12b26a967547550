"""
Real twistd processes on loopback, with real clients.
"""
