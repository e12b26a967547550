"""
Tests of tunnelkit.wire.framings.
"""
