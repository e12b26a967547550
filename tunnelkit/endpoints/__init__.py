"""
Tunnels as endpoints of Twisted's: to listen, and to connect, through a tunnel.
"""
