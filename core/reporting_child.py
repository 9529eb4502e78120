"""A program of limpet's own in a process of its own, which reports line by line.

Never a fork of this process: the app has threads.  The child is a fresh interpreter without
site packages that is told where our modules are; its last line is its answer.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHECK_EVERY_S = 0.1


def run_child(
    program: str,
    words: Sequence[str],
    check: Callable[[], None],
    progress: Callable[[str], None],
    *,
    stdin: bytes = b"",
    fds: tuple[int, ...] = (),
) -> tuple[str, str]:
    """Run the file `program` and return its last line and the end of what it complained of.

    Every other line goes to `progress`.  `fds` are open in the child as well; it gets `stdin`.
    What `check` raises, asked all the time, kills it.
    """
    modules = os.pathsep.join(path for path in sys.path if path and os.path.isdir(path))
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-E", program, modules, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=fds,
    )  # fmt: skip
    assert child.stdin is not None
    try:
        with suppress(BrokenPipeError):  # why it has ended is what it says
            child.stdin.write(stdin)
        with suppress(BrokenPipeError):
            child.stdin.close()
        child.stdin = None
        last = _listen(child, check, progress)
    except BaseException:
        child.kill()
        raise
    finally:
        _, said = child.communicate()
    complaint = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it was killed"]
    return last, complaint[0]


def _listen(
    child: subprocess.Popen[bytes], check: Callable[[], None], progress: Callable[[str], None]
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
            progress(last)
