"""Runs the process that fills a layer, and brings its progress and errors home."""

from __future__ import annotations

import os

from core.build.copy.selection import SelectionError
from core.errors import HostError
from core.reporting_child import run_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WORKER = os.path.join(os.path.dirname(__file__), "worker.py")


def fill(
    job: dict[str, Any],
    check: Callable[[], None],
    progress: Callable[[int], None],
    fds: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Do a job of `core.build.worker` and return its answer; `fds` are open in it as well.

    Raises SelectionError for what the Dockerfile asks for in vain, HostError for what the
    host refuses, and what `check` raises.
    """
    import json

    last, complaint = run_child(
        WORKER,
        (),
        check,
        lambda line: progress(int(line[6:])) if line.startswith("files ") else None,
        stdin=json.dumps(job).encode(),
        fds=fds,
    )
    kind, _, rest = last.partition(" ")
    if kind == "done":
        answer: dict[str, Any] = json.loads(rest)
        return answer
    raise _error(kind, rest, complaint)


def _error(kind: str, rest: str, complaint: str) -> Exception:
    if kind != "failed":
        return HostError(f"the layer was not filled: {complaint}", hint="is there enough memory?")
    what, _, text = rest.partition(" ")
    message, _, hint = text.partition("\x1f")
    if what == "selection":
        return SelectionError(message, hint)
    number, _, words = message.partition(" ")
    full = number == "28"
    return HostError(
        f"the layer was not filled: {words}",
        errno=int(number) if number.isdigit() else 0,
        hint="free some space: limpet build prune, limpet rmi" if full else "",
    )
