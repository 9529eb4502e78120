"""Has layers unpacked by a process of its own, and brings its progress and errors home.

Never by a fork of this process: the app has threads.  The other is a fresh interpreter
without site packages that forks for each layer.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from core import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

CHILD = os.path.join(os.path.dirname(__file__), "unpack_child.py")
CHECK_EVERY_S = 0.1
LENGTH_BYTES = 4
BY_CODE = {
    kind.code: kind
    for kind in (errors.ImageError, errors.Corrupt, errors.UnsupportedMedia, errors.UnsafePath)
}


class Unpacker:
    """Unpacks one layer after the other; a context.  What `check` raises ends its process."""

    def __init__(self) -> None:
        modules = os.pathsep.join(path for path in sys.path if path and os.path.isdir(path))
        # Its group: a fork that is at work ends with it.
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-E", CHILD, modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            bufsize=0, process_group=0,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait()
        self._child.stdout.close()

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
        passes through.  Raises ImageError and its kinds naming the layer and the entry,
        HostError when the disk is full.
        """
        fields = (blob, arriving, str(size), target, index, media_type, digest, diff_id,
                  str(max_bytes), str(max_files))  # fmt: skip
        order = os.fsencode("\0".join(fields))
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(len(order).to_bytes(LENGTH_BYTES, "little") + order)
        except BrokenPipeError:
            raise _error("ended", "the process has ended", diff_id) from None
        try:
            kind, rest = self._listen(progress, check)
        except BaseException:
            self._kill()
            raise
        if kind != "done":
            raise _error(kind, rest, diff_id)
        bytes_of_files, _, files = rest.partition(" ")
        return int(bytes_of_files), int(files)

    def _kill(self) -> None:
        """End the process and its fork, and return when neither can make a file any more."""
        assert self._child.stdout is not None
        os.killpg(self._child.pid, signal.SIGKILL)
        while self._child.stdout.read(64 << 10):
            pass

    def _listen(
        self, progress: Callable[[int], None], check: Callable[[], None]
    ) -> tuple[str, str]:
        """Return the first word of the answer, and the rest of it."""
        assert self._child.stdout is not None
        fd, buffer = self._child.stdout.fileno(), b""
        while True:
            check()
            if not select.select([fd], [], [], CHECK_EVERY_S)[0]:
                continue
            data = os.read(fd, 64 << 10)
            if not data:
                return "ended", "the process was killed"
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                kind, _, rest = line.decode("utf-8", "surrogateescape").partition(" ")
                if kind != "bytes":
                    return kind, rest
                progress(int(rest))


def _error(kind: str, rest: str, diff_id: str) -> errors.Error:
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
            f"{layer}: {words}",
            errno=int(number) if number.isdigit() else 0,
            hint="free some space: limpet images, limpet rmi",
        )
    return BY_CODE.get(code, errors.ImageError)(f"{layer}: {message}", hint=hint, subject=diff_id)
