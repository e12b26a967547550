"""
Tests of tunnelkit.wire.mgrok.
"""
