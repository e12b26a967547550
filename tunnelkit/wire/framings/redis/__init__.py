"""
Redis, and what else speaks RESP: requests of many clients over few connections.
"""
