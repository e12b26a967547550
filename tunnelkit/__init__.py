"""
A reverse tunnel: a server with a public address publishes services that live behind
a client with none.
"""

__version__ = "26.11.0"
