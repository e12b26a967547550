"""
remotedialer's wire: its messages, the WebSocket that carries them, and its login.
"""
