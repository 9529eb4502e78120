"""Writes a container's output to journald, with docker's fields.

Runs inside the monitor.  https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

from __future__ import annotations

import _socket
import os
import select

from core.containers.log.writer import LineWriter

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {1: b"6", 2: b"3"}
"""info and err, syslog(3), as docker maps the streams."""
WAIT_MS = 1000
"""How long a busy journald may hold a container up before lines are lost."""


def is_here() -> bool:
    """Return whether a journald listens on this host."""
    return os.path.exists(SOCKET)


class JournalLog(LineWriter):
    """Sends each line to journald; where that does not take it, it is lost."""

    def __init__(self, container_id: str, name: str, image: str, tag: str) -> None:
        super().__init__()
        fields = {
            "CONTAINER_ID": container_id[:12], "CONTAINER_ID_FULL": container_id,
            "CONTAINER_NAME": name, "CONTAINER_TAG": tag, "SYSLOG_IDENTIFIER": tag,
            "IMAGE_NAME": image,
        }  # fmt: skip
        self._fields = b"".join(
            _field(key.encode(), value.encode()) for key, value in fields.items()
        )
        self._socket = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        )

    def _entry(self, stream: int, text: bytes, stamp: bytes) -> bytes:
        partial = b"" if text.endswith(b"\n") else b"CONTAINER_PARTIAL_MESSAGE=true\n"
        priority = b"PRIORITY=%b\n" % PRIORITIES[stream]
        message = _field(b"MESSAGE", text.removesuffix(b"\n"))
        return self._fields + priority + partial + message

    def _append(self, entries: list[bytes]) -> None:
        for entry in entries:
            try:
                self._send(entry)
            except OSError:
                self.lost += 1

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, SOCKET)
        except BlockingIOError:
            poll = select.poll()
            poll.register(self._socket.fileno(), select.POLLOUT)
            poll.poll(WAIT_MS)
            self._socket.sendto(entry, SOCKET)

    def close(self) -> None:
        """Log the lines that never ended, and hang up."""
        super().close()
        self._socket.close()


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%b\n%b%b\n" % (name, len(value).to_bytes(8, "little"), value)
    return b"%b=%b\n" % (name, value)
