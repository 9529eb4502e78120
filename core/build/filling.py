"""Runs the process that fills a layer, and brings its progress and errors home.

Never a fork of this process: the app has threads.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys

from core.build.selection import SelectionError
from core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHECK_EVERY_S = 0.1
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

    modules = os.pathsep.join(path for path in sys.path if path and os.path.isdir(path))
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-E", WORKER, modules],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        pass_fds=fds,
    )  # fmt: skip
    assert child.stdin is not None
    try:
        try:
            child.stdin.write(json.dumps(job).encode())
            child.stdin.close()
        except BrokenPipeError:
            pass
        child.stdin = None
        last = _listen(child, check, progress)
    except BaseException:
        child.kill()
        raise
    finally:
        _, complaint = child.communicate()
    kind, _, rest = last.partition(" ")
    if kind == "done":
        answer: dict[str, Any] = json.loads(rest)
        return answer
    raise _error(kind, rest, complaint.decode("utf-8", "replace"))


def _listen(
    child: subprocess.Popen[bytes], check: Callable[[], None], progress: Callable[[int], None]
) -> str:
    assert child.stdout is not None
    fd, last, buffer = child.stdout.fileno(), "", b""
    while True:
        check()
        if not select.select([fd], [], [], CHECK_EVERY_S)[0]:
            continue
        data = os.read(fd, 64 << 10)
        if not data:
            return last
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            last = line.decode("utf-8", "surrogateescape")
            if last.startswith("files "):
                progress(int(last[6:]))


def _error(kind: str, rest: str, complaint: str) -> Exception:
    if kind != "failed":
        cause = complaint.strip().splitlines()[-1:] or ["it was killed"]
        return HostError(f"the layer was not filled: {cause[0]}", hint="is there enough memory?")
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
