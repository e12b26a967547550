"""
Tests of portals.
"""
