"""Reads a container's log back from the journal, through journalctl(1)."""

from __future__ import annotations

import json
import select
import subprocess

from core.containers.log.reader import Entry
from core.containers.log.writer import timestamp
from core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET_S = 0.5
"""Once the container has ended, its last lines have come after so long a silence."""


def read_journal(
    container_id: str, *, tail: int | None = None, since: float = 0, until: float = 0
) -> Iterator[Entry]:
    """Return the entries that are there now, the oldest first; arguments as `reader.read_log`.

    Raises HostError when this host has no journalctl.
    """
    with _journalctl(container_id, tail, since, until) as ran:
        assert ran.stdout is not None
        for line in ran.stdout:
            yield _entry(line)


def follow_journal(
    container_id: str,
    running: Callable[[], bool],
    *,
    tail: int | None = None,
    since: float = 0,
    until: float = 0,
) -> Iterator[Entry]:
    """Yield entries as they come, until `running()` is false and no more come."""
    with _journalctl(container_id, tail, since, until, "--follow") as ran:
        assert ran.stdout is not None
        rest = b""
        try:
            while True:
                alive = running()
                if not select.select([ran.stdout], [], [], QUIET_S)[0]:
                    if not alive:
                        return
                    continue
                block = ran.stdout.read1(1 << 20)  # type: ignore[attr-defined]
                if not block:
                    return
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    yield _entry(line)
        finally:
            ran.kill()


def _journalctl(
    container_id: str, tail: int | None, since: float, until: float, *more: str
) -> subprocess.Popen[bytes]:
    words = ["journalctl", "--quiet", "--no-pager", "--output=json", "--all", *more]
    words.append(f"--lines={'all' if tail is None else tail}")
    if since > 0:
        words.append(f"--since=@{since:.6f}")
    if until > 0:
        words.append(f"--until=@{until:.6f}")
    words.append(f"CONTAINER_ID_FULL={container_id}")
    try:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise HostError(
            "journalctl is not here, so the journal cannot be read",
            hint="install systemd's journal tools",
        ) from None


def _entry(line: bytes) -> Entry:
    fields = json.loads(line)
    message = fields.get("MESSAGE") or ""
    # Text that is not UTF-8 comes as a list of bytes.
    text = message.encode() if isinstance(message, str) else bytes(message)
    end = b"" if fields.get("CONTAINER_PARTIAL_MESSAGE") else b"\n"
    stream = 2 if fields.get("PRIORITY") == "3" else 1
    return Entry(stream, text + end, timestamp(int(fields["__REALTIME_TIMESTAMP"]) * 1000))
