"""
Tests of C{tunnelkit.portal.rendezvous}.
"""
