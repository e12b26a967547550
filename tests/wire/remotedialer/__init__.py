"""
Tests of tunnelkit.wire.remotedialer.
"""
