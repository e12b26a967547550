"""
Tests of tunnelkit.relay.
"""
