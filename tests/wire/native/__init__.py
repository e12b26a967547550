"""
Tests for the room of the same name.
"""
