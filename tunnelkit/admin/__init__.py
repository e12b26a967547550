"""
The web rooms in which an operator looks at a server.
"""
