"""
Tests of tunnelkit.sharing.
"""
