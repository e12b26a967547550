"""
Streams on work connections: one join after the other, and the rules of each.
"""
