"""
Keys, and the ways between portals of ours.
"""
