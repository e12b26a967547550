"""
smux version 1: streams within one connection, for whoever carries some.
"""
