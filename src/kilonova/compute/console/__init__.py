"""Consoles for browsers: from a WebSocket with a one-time token to the guest's screen or serial line."""
