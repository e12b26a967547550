"""
The room C{/client}: HTTP through a client, passed on as it comes.
"""
