"""
RESP, the protocol of redis (redis.io, Redis serialization protocol specification).
"""
