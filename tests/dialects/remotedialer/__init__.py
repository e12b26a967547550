"""
Tests of remotedialer.
"""
