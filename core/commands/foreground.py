"""Verbs that need the terminal: they start something and stay with it."""

from __future__ import annotations

from core.commands.result import Foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.containers.attach import Session
    from core.engine import Engine


def foreground(
    engine: Engine,
    title: str,
    keys: str,
    start: Callable[[], Session],
    *,
    stdin: bool = True,
    proxy: bool = True,
) -> Foreground:
    """Return what relays the terminal to a session, which is started only then.

    `stdin` and `proxy` as in `Session.relay`.
    """

    def relay(in_: int, out: int, err: int) -> int:
        with start() as session:
            return session.relay(
                in_, out, err, keys or engine.config["container", "detach_keys"],
                stdin=stdin, proxy=proxy,
            )  # fmt: skip

    return Foreground(title, relay)
