``--tunnel udp:53:port=5300`` publishes a UDP service: a flow and a source port for each visitor, in order, over TLS; what the line does not take is dropped oldest first and counted by cause.
