"""Notices that some limpet on this host changed something.

Truth is on disk; an event only says "look again".  Every change touches one file, which
inotify watches; where inotify is not to be had, its time stamp is polled.
"""

from __future__ import annotations

import os
import select
import time

import core.linux.inotify as inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

POLL_S = 0.5


class Watcher:
    """Waits for changes.  One waiting thread at a time."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._paths.make()
        self._stamp = self._read_stamp()
        self._fd = self._watch()

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as something changed, False after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if self._fd < 0:
                time.sleep(min(left, POLL_S))
            elif select.select([self._fd], [], [], left)[0]:
                self._drain()
            stamp = self._read_stamp()
            if stamp != self._stamp:
                self._stamp = stamp
                return True
        return False

    def close(self) -> None:
        """Close the inotify descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _watch(self) -> int:
        try:
            fd = inotify.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return -1  # out of inotify instances: polling does
        try:
            inotify.inotify_add_watch(fd, self._paths.changed, inotify.IN_ATTRIB)
        except OSError:
            os.close(fd)
            return -1
        return fd

    def _drain(self) -> None:
        try:
            os.read(self._fd, 64 << 10)
        except BlockingIOError:
            pass

    def _read_stamp(self) -> int:
        try:
            return os.stat(self._paths.changed).st_mtime_ns
        except FileNotFoundError:
            return 0
