"""
Tests of mgrok.
"""
