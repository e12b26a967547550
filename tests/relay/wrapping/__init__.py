"""
Tests of what is wrapped around a work connection.
"""
