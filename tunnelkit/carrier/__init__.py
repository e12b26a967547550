"""
How streams get from server to client: work connections, on both sides.
"""
