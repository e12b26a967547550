"""
What is wrapped around a work connection: compression, and what two clients encrypt.
"""
