"""
Login and proof, session, leases, heartbeat.
"""
