"""
Tests of tunnelkit.wire.smux.
"""
