"""
Tests of C{tunnelkit.relay.portable}.
"""
