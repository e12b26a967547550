"""
Tests of tunnelkit.wire.framings.redis.
"""
