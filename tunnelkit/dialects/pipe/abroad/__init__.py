"""
Our client at servers of pipe's.
"""
