"""
Tests of tunnelkit.control.
"""
