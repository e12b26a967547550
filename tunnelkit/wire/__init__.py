"""
Bytes to values and back, in pure Python: no Twisted, no sockets.
"""
