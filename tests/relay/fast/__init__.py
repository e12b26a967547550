"""
Tests for L{tunnelkit.relay.fast}.
"""
