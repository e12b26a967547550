"""
Tests that load the machine or measure what it does, and want it to themselves.
"""
