"""Notices that the terminal is gone.

Usually SIGHUP ends the app then, but not everybody passes it on: sudo and su with a terminal of
their own do not.  Textual would read the end of its input again and again, for ever.
"""

from __future__ import annotations

import asyncio
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def on_hang_up(fd: int, act: Callable[[], None]) -> None:
    """Call `act` once in the running loop when the terminal `fd` hangs up.

    Waits for no input, so it takes none from whoever reads there.  epoll_ctl(2), EPOLLHUP
    """
    try:
        watched = select.epoll()
        watched.register(fd, 0)  # no more than hang-ups and errors, which are always told
    except PermissionError:
        return  # a file, which never hangs up
    loop = asyncio.get_running_loop()

    def hung_up() -> None:
        loop.remove_reader(watched.fileno())
        watched.close()
        act()

    loop.add_reader(watched.fileno(), hung_up)
