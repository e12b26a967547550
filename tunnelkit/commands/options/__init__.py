"""
What the command line and configuration files say.
"""
