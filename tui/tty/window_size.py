"""Takes the window's sizes one after the other, so that the last one taken is the newest.

A signal may interrupt the handler of the one before it, between that one's look at the size and
what it does with it: the older size would come last, and stay, while a corner is dragged.
"""

from __future__ import annotations

import asyncio
import signal

from textual.drivers.linux_driver import LinuxDriver


class InTurnDriver(LinuxDriver):
    """Textual's driver, whose handler of SIGWINCH is called by the loop, not within itself."""

    def start_application_mode(self) -> None:
        """Take the terminal, at the start and whenever it is given back."""
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
        loop, number = asyncio.get_running_loop(), signal.SIGWINCH
        if callable(handler := signal.getsignal(number)):
            loop.add_signal_handler(number, handler, number, None)
