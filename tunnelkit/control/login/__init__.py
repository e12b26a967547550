"""
Login: client and server prove to each other that they know a user's secret, and that
both saw the same certificate, without sending either.

It is SCRAM (RFC 5802, 7677) with the channel binding C{tls-server-end-point} (RFC
5929) where the server shows a certificate of its own.  The two sides are messages in,
messages out; docs/protocol.rst has the conversation.

C{scramp} does the cryptography.  It names the cause of each failure and stops at the
first; so what it is given has been read here before, and where something is wrong with
it, it is given something well-formed in place of that, which fails at the very end.
"""
