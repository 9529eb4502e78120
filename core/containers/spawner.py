"""Forks monitors for a front end that has threads; run by file path, ends with it.

Imports everything a monitor needs once, so that each start is one fork.  It keeps no
descriptor but the socket to its front end, and no child waits for it.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os
import sys

MAX_REQUEST = 128 << 10
MAX_FDS = 3


def main(channel: _socket.socket) -> None:
    """Serve requests until the front end has gone."""
    # Loaded here once, not in every fork.
    from core.containers import child, exec_session, monitor  # noqa: F401
    from core.containers.launcher import become

    os.setsid()
    os.chdir("/")
    child.keep_only((channel.fileno(),))
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel reaps for us
    while True:
        message, ancillary, _, _ = channel.recvmsg(
            MAX_REQUEST, _socket.CMSG_SPACE(4 * MAX_FDS), _socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            return
        rights = b"".join(data for _, _, data in ancillary)
        fds = [
            int.from_bytes(rights[at : at + 4], sys.byteorder) for at in range(0, len(rights), 4)
        ]
        kind, job = marshal.loads(_request(message, fds))  # noqa: S302 - our own parent
        if os.fork() == 0:
            become(kind, job, fds[0], fds[1] if len(fds) > 1 else -1)
        for fd in fds:
            os.close(fd)


def _request(message: bytes, fds: list[int]) -> bytes:
    """Return the request: in the message itself, or in a memory file that came with it."""
    if message[:1] == b"i":
        return message[1:]
    memory = fds.pop(0)
    parts, offset = [], 0
    while part := os.pread(memory, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    os.close(memory)
    return b"".join(parts)


if __name__ == "__main__":
    # Its own folder must not be one: `signals` and `names` are no packages of the world's.
    sys.path[:] = sys.argv[2].split(os.pathsep)
    main(_socket.socket(fileno=int(sys.argv[1])))
