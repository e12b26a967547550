"""
What portals say to each other, and to learn their addresses.
"""
