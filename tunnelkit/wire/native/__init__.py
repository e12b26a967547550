"""
The wire of our own protocol.
"""
