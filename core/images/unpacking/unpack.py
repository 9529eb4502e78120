"""Has layers unpacked by a process of its own, and brings its progress and errors home.

Never by a fork of this process: the app has threads.  The other is a fresh interpreter
without site packages that forks for each layer, and several layers are unpacked at once.
"""

from __future__ import annotations

import _socket
import _thread
import os
import select
import signal
import sys

from core import errors
from core.linux.process import pidfd_send_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

CHILD = os.path.join(os.path.dirname(__file__), "unpack_child.py")
CHECK_EVERY_S = 0.1
FD_BYTES = 4
READ_BYTES = 64 << 10
BY_CODE = {
    kind.code: kind
    for kind in (errors.ImageError, errors.Corrupt, errors.UnsupportedMedia, errors.UnsafePath)
}


class Unpacker:
    """Unpacks layers, for several threads at once; a context, left when nothing is unpacked.

    Its process starts with the first layer, or before.
    """

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._pid = 0

    def prepare(self) -> None:
        """Start the process, which takes a moment until it can unpack: for what it imports."""
        with self._lock:
            if not self._pid:
                self._start()

    def _start(self) -> None:
        self._orders, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        modules = os.pathsep.join(path for path in sys.path if path and os.path.isdir(path))
        try:
            # Its group: ctrl-c is for this process, which ends the other.
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-E", CHILD, modules],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    *((os.POSIX_SPAWN_DUP2, null, number) for number in (1, 2)),
                ],
                setpgroup=0,
                setsigdef=[signal.SIGCHLD, signal.SIGPIPE],
            )
        finally:
            os.close(null)
            theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; nothing is being unpacked."""
        if not self._pid:
            return
        self._orders.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def unpack(
        self,
        blob: str,
        target: str,
        index: str,
        *,
        media_type: str,
        digest: str,
        diff_id: str,
        max_bytes: int,
        max_files: int,
        progress: Callable[[int], None],
        check: Callable[[], None],
        arriving: str = "",
        size: int = 0,
    ) -> tuple[int, int]:
        """Unpack a blob into the empty directory `target`; returns bytes of files and entries.

        Verifies the content's `diff_id`, and the blob's digest unless it is still `arriving`:
        then it is read from that file while somebody else appends to it until it has `size`
        bytes, and summed up by them.  `progress` is told compressed bytes; what `check` raises
        ends the unpacking and passes through.  Raises ImageError and its kinds naming the layer
        and the entry, HostError when the disk is full.
        """
        fields = (blob, arriving, str(size), target, index, media_type, digest, diff_id,
                  str(max_bytes), str(max_files))  # fmt: skip
        order = os.fsencode("\0".join(fields))
        self.prepare()
        report, theirs = _socket.socketpair()
        try:
            rights = theirs.fileno().to_bytes(FD_BYTES, sys.byteorder)
            self._orders.sendmsg([order], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            theirs.close()
            kind, rest = _listen(report, progress, check)
        except (BrokenPipeError, ConnectionResetError):
            raise _error("ended", "the process has ended", diff_id, target) from None
        finally:
            theirs.close()
            report.close()
        if kind != "done":
            raise _error(kind, rest, diff_id, target)
        bytes_of_files, _, files = rest.partition(" ")
        return int(bytes_of_files), int(files)


def _listen(
    report: _socket.socket, progress: Callable[[int], None], check: Callable[[], None]
) -> tuple[str, str]:
    """Return the first word of the answer, and the rest of it.

    What `check` raises ends the process that answers.  None is there when this returns.
    """
    _, ancillary, _, _ = report.recvmsg(1, _socket.CMSG_SPACE(FD_BYTES), _socket.MSG_CMSG_CLOEXEC)
    if not ancillary:
        return "ended", "the process was killed"
    process = int.from_bytes(ancillary[0][2], sys.byteorder)
    try:
        return _read_lines(report, progress, check)
    except BaseException:
        try:
            pidfd_send_signal(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        raise
    finally:
        select.select([process], [], [])  # until it has let go of the layer's directory
        os.close(process)


def _read_lines(
    report: _socket.socket, progress: Callable[[int], None], check: Callable[[], None]
) -> tuple[str, str]:
    buffer = b""
    while True:
        check()
        if not select.select([report.fileno()], [], [], CHECK_EVERY_S)[0]:
            continue
        data = report.recv(READ_BYTES)
        if not data:
            return "ended", "the process was killed"
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            kind, _, rest = line.decode("utf-8", "surrogateescape").partition(" ")
            if kind != "bytes":
                return kind, rest
            progress(int(rest))


def _error(kind: str, rest: str, diff_id: str, target: str) -> errors.Error:
    layer = f"layer {diff_id[:19]}"
    if kind != "failed":
        return errors.HostError(
            f"{layer}: unpacking ended early: {rest}", hint="is there enough memory? try again"
        )
    code, _, text = rest.partition(" ")
    message, _, hint = text.partition("\x1f")
    if code == "host":
        number, _, words = message.partition(" ")
        return errors.HostError(
            f"{layer} cannot be unpacked into {target}: {words}",
            errno=int(number) if number.isdigit() else 0,
            hint=errors.FREE_SPACE,
        )
    return BY_CODE.get(code, errors.ImageError)(f"{layer}: {message}", hint=hint, subject=diff_id)
