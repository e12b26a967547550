"""
Recorded conversations of real programs that tunnelkit takes the place of.
"""
