"""
Tests of tunnelkit.dialects.
"""
