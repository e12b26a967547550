"""
Tests of C{tunnelkit.relay.flows}.
"""
