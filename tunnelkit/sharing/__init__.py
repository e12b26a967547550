"""
Sharing: many clients over few connections to a target.
"""
