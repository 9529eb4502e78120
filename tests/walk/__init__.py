"""Presses keys that nobody would press in this order, on the real app with real containers."""
