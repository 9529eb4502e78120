"""Verbs that need the terminal: they start something and stay with it."""

from __future__ import annotations

from core.commands.result import Foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.containers.attach import Session
    from core.engine import Engine


def foreground(engine: Engine, title: str, keys: str, start: Callable[[], Session]) -> Foreground:
    """Return what relays the terminal to a session, which is started only then."""

    def relay(stdin: int, stdout: int, stderr: int) -> int:
        with start() as session:
            return session.relay(
                stdin, stdout, stderr, keys or engine.config["container", "detach_keys"]
            )

    return Foreground(title, relay)
