"""
Two connections joined into each other, and TLS under them.
"""
