"""
What is spoken on the server's port, chosen by the first bytes.
"""
