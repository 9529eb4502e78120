"""Leaves the app when a signal asks for it, and quietly while it is being left.

A terminal that has been given back makes a signal of ctrl-c.  A person who presses it twice
has then left already, and is kept waiting by no thread that still reads from far away.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

ASKING = (signal.SIGINT, signal.SIGTERM)


def leave_on_signals(app: App[int]) -> None:
    """From now on, end the running app as a key would; a process that has left it, at once."""

    def leave(number: int, _: object) -> None:
        if app.is_running:
            asyncio.get_running_loop().call_soon_threadsafe(app.exit, 128 + number)
        else:
            os._exit(app.return_value or app.return_code or 0)

    for number in ASKING:
        signal.signal(number, leave)
        # Python takes its handlers away before its own end.
        atexit.register(signal.signal, number, signal.SIG_IGN)


def before_hang_up(keep: Callable[[], None]) -> None:
    """Call `keep` before SIGHUP ends the process, as it goes on to do unless it was ignored."""

    def hang_up(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        keep()
        os.kill(os.getpid(), number)

    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hang_up)
