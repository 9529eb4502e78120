"""Watches for changes of files.  inotify(7)"""

from __future__ import annotations

import os

from core.linux.libc import c_char_p, c_int, c_uint, check, function

IN_MODIFY, IN_ATTRIB, IN_MOVED_TO, IN_CREATE = 2, 4, 0x80, 0x100

_inotify_init1 = function("inotify_init1", c_int)
_inotify_add_watch = function("inotify_add_watch", c_int, c_char_p, c_uint)


def inotify_init1(flags: int) -> int:
    """Call inotify_init1(2); returns a descriptor."""
    return check(_inotify_init1(flags), "inotify_init1")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Call inotify_add_watch(2); returns a watch number."""
    return check(_inotify_add_watch(fd, os.fsencode(path), mask), "inotify_add_watch", path)
