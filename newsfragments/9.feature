A local TCP service is published through a server with one command a side, ``twistd tunnelserver`` and ``twistd tunnelclient``, over TLS 1.3 with a login that is bound to it.
