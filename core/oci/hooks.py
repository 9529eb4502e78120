"""Runs a bundle's hooks.

https://github.com/opencontainers/runtime-spec/blob/main/config.md#posix-platform-hooks
"""

from __future__ import annotations

import _signal
import os
import select
import time

from core.lean_json import dumps
from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MAX_OUTPUT = 64 << 10


class HookFailed(Exception):
    """A hook ended with an error, took too long or could not be run; the text says which."""


def run_hooks(spec: Mapping[str, Any], kind: str, state: Mapping[str, Any]) -> None:
    """Run the hooks of one kind in order, each with the container's state as its input.

    Raises HookFailed for the first that fails; those after it are not run.
    """
    for hook in (spec.get("hooks") or {}).get(kind) or ():
        run_hook(kind, hook, state)


def run_hook(kind: str, hook: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Run one hook.  Raises HookFailed."""
    place = hook["path"]
    memory = os.memfd_create("state", os.MFD_CLOEXEC)
    os.write(memory, dumps(dict(state)).encode("utf-8", "surrogateescape"))
    os.lseek(memory, 0, os.SEEK_SET)
    read, write = os.pipe()
    try:
        pid = os.posix_spawn(
            place,
            hook.get("args") or [place],
            dict(entry.split("=", 1) for entry in hook.get("env") or () if "=" in entry),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, memory, 0),
                (os.POSIX_SPAWN_DUP2, write, 1),
                (os.POSIX_SPAWN_DUP2, write, 2),
            ],
            setsigmask=[],
            setsigdef=[_signal.SIGPIPE, _signal.SIGINT],
        )
    except OSError as error:
        os.close(read)
        raise HookFailed(f"{kind} hook {place}: {error.strerror}") from error
    finally:
        os.close(memory)
        os.close(write)
    try:
        status, output = _wait(pid, read, hook.get("timeout") or 0)
    finally:
        os.close(read)
    if status is None:
        raise HookFailed(f"{kind} hook {place} took more than {hook['timeout']} s")
    code = os.waitstatus_to_exitcode(status)
    if code:
        ended = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
        raise HookFailed(f"{kind} hook {place} {ended}: {output.decode(errors='replace').strip()}")


def _wait(pid: int, output: int, timeout_s: float) -> tuple[int | None, bytes]:
    """Return the wait status, None for one that took too long, and the end of what it said."""
    ended = process.pidfd_open(pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(output, select.POLLIN)
    said = b""
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            left = max(0, int((deadline - time.monotonic()) * 1000)) if timeout_s else None
            ready = {fd for fd, _ in poll.poll(left)}
            if output in ready:  # at once all that a pipe holds
                part = os.read(output, MAX_OUTPUT)
                said = (said + part)[-MAX_OUTPUT:]
                if not part:
                    poll.unregister(output)
            # Both are looked at however much it says, or what it left in the background.
            if ended in ready:
                return os.waitpid(pid, 0)[1], said
            if left == 0:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                return None, said
    finally:
        os.close(ended)
