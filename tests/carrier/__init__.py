"""
Tests of tunnelkit.carrier.
"""
