"""
Tests of streams on work connections.
"""
