"""
Tests for L{tunnelkit.dialects.mgrok.abroad}.
"""
