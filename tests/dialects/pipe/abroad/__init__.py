"""
Tests for L{tunnelkit.dialects.pipe.abroad}.
"""
