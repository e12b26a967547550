"""
Clients: those who share a target.
"""
