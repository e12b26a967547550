"""
Flows of datagrams, and what carries them, whatever their bytes go through.
"""
