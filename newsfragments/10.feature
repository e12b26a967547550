A data plane of its own on Linux: sockets of visitors, services and work connections in one epoll, ``splice`` for bulk, the standard library's TLS; ``make bench`` compares it with HAProxy.
