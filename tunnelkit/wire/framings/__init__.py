"""
Framings: how one request, and one reply, is cut out of a stream of bytes.
"""
