"""The first picture of the app, painted before the app itself is loaded.

Loading Textual takes a fifth of a second, in which a person would look at nothing.  What
stands here is true and stands where the app will put it; the app then paints over it.
"""

from __future__ import annotations

import os
import termios
from functools import cache

from core.privileges import outer_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from core.engine import Engine
    from core.model import ContainerInfo

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H"
"""The alternate screen, without a cursor, empty (xterm's control sequences)."""
LEAVE = "\x1b[?1049l\x1b[?25h"
MOST_NAME, MOST_IMAGE = 32, 36
"""Most columns of the two, as in the app's table."""


class Opening:
    """The alternate screen with the containers on it, as a context; keys are not echoed.

    Left before `hand_over`, because the app could not be loaded, it restores the screen.
    """

    def __init__(self, engine: Engine, input_fd: int, output_fd: int) -> None:
        self._engine = engine
        self._input = input_fd
        self._output = output_fd
        self._handed_over = False
        self.containers: Sequence[ContainerInfo] = ()
        """Those that are shown."""

    def __enter__(self) -> Self:
        columns, rows = os.get_terminal_size(self._output)
        self.containers = self._engine.containers.list()
        lines = picture(self.containers, columns)[:rows]
        self._before = termios.tcgetattr(self._input)
        quiet = termios.tcgetattr(self._input)
        # What is typed from now on waits for the app, key by key.
        quiet[0] &= ~termios.ICRNL  # enter is another key than ctrl-j
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self._input, termios.TCSANOW, quiet)
        os.write(self._output, (ENTER + "\r\n".join(lines)).encode())
        return self

    def hand_over(self) -> None:
        """Leave the screen to the app, which restores it at its own end."""
        self._handed_over = True

    def __exit__(self, *_: object) -> None:
        if not self._handed_over:
            os.write(self._output, LEAVE.encode())
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)


def picture(containers: Sequence[ContainerInfo], columns: int) -> list[str]:
    """Return the screen's first lines, with colours; none is wider than `columns`."""
    running = sum(info.state == "running" for info in containers)
    title = f"─ 1 Containers{f'  {running} running' if running else ''} "
    lines = [f" limpet {host_name()}"[:columns], title[:columns].ljust(columns, "─")]
    if not containers:
        return lines
    name = min(MOST_NAME, max(len(f"● {info.name}") for info in containers))
    image = min(MOST_IMAGE, max(len("IMAGE"), *(len(info.image) for info in containers)))
    lines.append(f"   {'NAME':{name}}  {'IMAGE':{image}}  STATE"[:columns])
    for info in containers:
        sign = "●" if info.state == "running" else "○"
        text = f"   {f'{sign} {info.name}'[:name]:{name}}  {info.image[:image]:{image}}  "
        lines.append((text + info.state)[:columns])
    return lines


@cache
def host_name() -> str:
    """Return `user@host` as the prompt of the shell shows it that limpet was started from."""
    import pwd

    try:
        user = pwd.getpwuid(outer_uid()).pw_name
    except KeyError:
        user = str(outer_uid())
    return f"{user}@{os.uname().nodename.partition('.')[0]}"
