"""
Tests of lines that this side asks for.
"""
