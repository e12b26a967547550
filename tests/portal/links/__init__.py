"""
Tests of C{tunnelkit.portal.links}.
"""
