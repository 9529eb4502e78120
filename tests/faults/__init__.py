"""Hurts limpet in the middle of what it does, and looks what that has done."""
