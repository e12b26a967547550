"""
What tests with real processes are played with: programs, services, visitors, sockets.
"""
