"""
mgrok's wire above smux: its messages, its datagrams, and its configuration files.
"""
