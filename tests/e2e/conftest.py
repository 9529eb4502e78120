"""End-to-end tests run in namespaces of their own and leave nothing behind."""

from __future__ import annotations

from tests.confined import isolated, nothing_left

__all__ = ["isolated", "nothing_left"]
