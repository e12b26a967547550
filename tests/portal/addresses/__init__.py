"""
Tests of C{tunnelkit.portal.addresses}.
"""
