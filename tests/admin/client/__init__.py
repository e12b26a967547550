"""
Tests for L{tunnelkit.admin.client}.
"""
