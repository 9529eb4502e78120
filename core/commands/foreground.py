"""Verbs that need the terminal: they start something and stay with it."""

from __future__ import annotations

import os

from core.commands.result import Foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.containers.attach.session import Session
    from core.engine import Engine


def foreground(
    engine: Engine,
    title: str,
    keys: str,
    start: Callable[[], Session],
    *,
    stdin: bool = True,
    proxy: bool = True,
    streams: Sequence[str] = (),
) -> Foreground:
    """Return what relays the terminal to a session, which is started only then.

    `stdin` and `proxy` as in `Session.relay`.  `streams` are the only ones of stdin, stdout
    and stderr that are relayed; none: all.
    """

    def relay(in_: int, out: int, err: int) -> int:
        with open(os.devnull, "wb") as null, start() as session:
            return session.relay(
                in_,
                out if not streams or "stdout" in streams else null.fileno(),
                err if not streams or "stderr" in streams else null.fileno(),
                keys or engine.config["container", "detach_keys"],
                stdin=stdin and (not streams or "stdin" in streams),
                proxy=proxy,
            )

    return Foreground(title, relay)
