"""
Tests of L{tunnelkit.wire.framings.http1}.
"""
