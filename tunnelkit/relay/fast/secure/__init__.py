"""
TLS of our own in the loop.
"""
