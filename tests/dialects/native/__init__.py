"""
Tests of tunnelkit.dialects.native.
"""
