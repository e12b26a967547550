"""
Portals: many local UDP senders to one far UDP service, over a single UDP path.
"""
