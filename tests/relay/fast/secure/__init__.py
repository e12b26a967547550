"""
Tests of TLS in the loop.
"""
