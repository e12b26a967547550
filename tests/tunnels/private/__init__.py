"""
Tests of tunnelkit.tunnels.private.
"""
