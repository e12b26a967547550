"""
The native protocol, tunnelkit/1: docs/protocol.rst.
"""
