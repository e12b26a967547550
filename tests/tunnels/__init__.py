"""
Tests of tunnelkit.tunnels.
"""
