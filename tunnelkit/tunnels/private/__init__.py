"""
Private tunnels: those whose visitors are other clients of the same server.
"""
