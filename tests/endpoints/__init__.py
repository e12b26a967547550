"""
Tests for L{tunnelkit.endpoints}.
"""
