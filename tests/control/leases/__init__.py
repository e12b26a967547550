"""
Tests of leases.
"""
