"""
Tests of C{tunnelkit.portal.flows}.
"""
