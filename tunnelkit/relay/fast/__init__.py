"""
The fast path: sockets of our own in one epoll, beside Twisted's transports.
"""
