"""
pipe's wire: its packets, its login, and its configuration files.
"""
