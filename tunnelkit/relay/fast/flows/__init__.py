"""
Datagrams in the loop.
"""
