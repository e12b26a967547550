"""
Tests of tunnelkit.wire.
"""
