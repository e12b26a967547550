"""
Lines that this side asks for: of our clients, and between peers.
"""
