"""One request between limpet's own processes: a value and descriptors, over a socket pair.

A front end asks its spawner so, and a monitor hands the container's first process its plan.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INLINE_BYTES = 64 << 10
"""Larger requests travel as a memory file: a SEQPACKET message has a limit."""
MAX_FDS = 64
"""In one message."""


def send(channel: _socket.socket, value: Any, fds: tuple[int, ...] = ()) -> None:
    """Send what `marshal` can carry, and copies of descriptors.  Raises OSError."""
    data = marshal.dumps(value)
    if len(data) <= INLINE_BYTES:
        _send(channel, b"i" + data, fds)
        return
    memory = os.memfd_create("request", os.MFD_CLOEXEC)
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(data)
        _send(channel, b"m", (memory, *fds))
    finally:
        os.close(memory)


def receive(channel: _socket.socket) -> tuple[Any, list[int]] | None:
    """Return the next request and its descriptors, None at the end."""
    message, ancillary, _, _ = channel.recvmsg(
        INLINE_BYTES + 1, _socket.CMSG_SPACE(4 * MAX_FDS), _socket.MSG_CMSG_CLOEXEC
    )
    if not message:
        return None
    fds = memoryview(ancillary[0][2]).cast("i").tolist() if ancillary else []
    data = message[1:] if message[:1] == b"i" else _read(fds.pop(0))
    return marshal.loads(data), fds  # noqa: S302 - both ends are ours


def _send(channel: _socket.socket, message: bytes, fds: tuple[int, ...]) -> None:
    rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    channel.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if fds else [])


def _read(memory: int) -> bytes:
    parts, offset = [], 0
    while part := os.pread(memory, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    os.close(memory)
    return b"".join(parts)
