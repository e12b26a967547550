"""
Our client at servers of mgrok's.
"""
