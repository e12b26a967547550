"""
HTTP/1.1 (RFC 9110, RFC 9112), by requests and replies: what a shared connection to a
target needs of it, and no more.  Bytes of messages pass as they came, apart from what
is between two neighbours alone.
"""
