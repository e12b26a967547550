"""
What is published: one module a kind and side.
"""
