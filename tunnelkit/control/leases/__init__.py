"""
Leases: who owns a public port, or a name.
"""
