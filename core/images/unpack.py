"""Runs the process that unpacks one layer, and brings its progress and errors home.

Never a fork of this process: the app has threads.  The child is a fresh interpreter
without site packages that is told where our modules are.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys

from core import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHECK_EVERY_S = 0.1
CHILD = os.path.join(os.path.dirname(__file__), "unpack_child.py")
BY_CODE = {
    kind.code: kind
    for kind in (errors.ImageError, errors.Corrupt, errors.UnsupportedMedia, errors.UnsafePath)
}


def unpack_layer(
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
) -> tuple[int, int]:
    """Unpack a blob into the empty directory `target`; returns bytes of files and entries.

    Verifies the blob's digest and the content's `diff_id`.  `progress` is told compressed
    bytes; what `check` raises ends the child.  Raises ImageError and its kinds naming the
    layer and the entry, HostError when the disk is full.
    """
    modules = os.pathsep.join(path for path in sys.path if path and os.path.isdir(path))
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-E", CHILD, modules, blob, target, index, media_type, digest,
         diff_id, str(max_bytes), str(max_files)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        last = _listen(child, progress, check)
    except BaseException:
        child.kill()
        raise
    finally:
        _, complaint = child.communicate()
    kind, _, rest = last.partition(" ")
    if kind == "done":
        size, _, files = rest.partition(" ")
        return int(size), int(files)
    raise _error(kind, rest, diff_id, complaint.decode("utf-8", "replace"))


def _listen(
    child: subprocess.Popen[bytes], progress: Callable[[int], None], check: Callable[[], None]
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
            last = line.decode("utf-8", "replace")
            if last.startswith("bytes "):
                progress(int(last[6:]))


def _error(kind: str, rest: str, diff_id: str, complaint: str) -> errors.Error:
    layer = f"layer {diff_id[:19]}"
    if kind != "failed":
        cause = complaint.strip().splitlines()[-1:] or ["it was killed"]
        return errors.HostError(
            f"{layer}: unpacking ended early: {cause[0]}", hint="is there enough memory? try again"
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
