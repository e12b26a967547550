"""
remotedialer: its stock clients, our clients at its stock servers, and its peers.
"""
