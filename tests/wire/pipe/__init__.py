"""
Tests of tunnelkit.wire.pipe.
"""
