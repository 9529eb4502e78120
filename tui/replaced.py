"""Keeps the app open, and as it is, when limpet is replaced under it, as an upgrade does.

What was not loaded by then cannot be shown any more; Textual would end the app at the first key
that asks for it.  They are private names of Textual, whose release is pinned.
"""

from __future__ import annotations

from textual.message_pump import MessagePump
from textual.worker import WorkerFailed

from core.errors import Error
from core.lean_import import Replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.message import Message

WHAT, NEXT = "limpet was replaced while this app runs", "open it anew"
WORDS = f"{WHAT}: {NEXT}"

dispatch = MessagePump._dispatch_message  # noqa: SLF001


def as_error(error: Exception) -> Error | None:
    """Return what a person is told instead of an error that comes of it; None for any other."""
    cause = error.error if isinstance(error, WorkerFailed) else error
    return Error(WHAT, hint=NEXT) if isinstance(cause, Replaced) else None


async def _dispatched(pump: MessagePump, message: Message) -> None:
    try:
        await dispatch(pump, message)
    except Replaced as error:  # further up it would end what all other messages come to, too
        pump.app._handle_exception(error)  # noqa: SLF001


def let_live() -> None:
    """Have widgets and screens go on after a message that needs what is gone; for the process."""
    MessagePump._dispatch_message = _dispatched  # type: ignore[method-assign, assignment]  # noqa: SLF001
