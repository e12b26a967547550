"""
Login and proof, session, leases and their store, heartbeat.
"""
