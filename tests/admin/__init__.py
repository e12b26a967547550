"""
Tests of tunnelkit.admin.
"""
