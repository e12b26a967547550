"""
Tests of pipe.
"""
