"""The C library through `_ctypes` alone.

The `ctypes` package costs two milliseconds and memory in every monitor; the few types
that system calls need are made here from the C module beneath it.
"""

from __future__ import annotations

import _ctypes
import errno as _errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


if TYPE_CHECKING:
    _Simple = _ctypes._SimpleCData[Any]  # noqa: SLF001
else:
    _Simple = _ctypes._SimpleCData  # noqa: SLF001 - the base has no public name


class c_int(_Simple):
    """C int."""

    _type_ = "i"


class c_uint(_Simple):
    """C unsigned int."""

    _type_ = "I"


class c_long(_Simple):
    """C long."""

    _type_ = "l"


class c_ulong(_Simple):
    """C unsigned long; pointers that the kernel takes as numbers, too."""

    _type_ = "L"


class c_char_p(_Simple):
    """C string: bytes, or None for NULL."""

    _type_ = "z"


class _Function(_ctypes.CFuncPtr):
    """A C function that keeps errno apart for each thread."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class _LongFunction(_ctypes.CFuncPtr):
    """The same with a long result (syscall(2))."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = c_long


_handle = _ctypes.dlopen(None, 0)  # type: ignore[arg-type] # NULL: the program itself, dlopen(3)
ENOSYS = _errno.ENOSYS


def function(name: str, *argtypes: Any) -> Any:
    """Return the C function `name` with its argument types set; AttributeError if libc lacks it."""
    try:
        found = _Function(_ctypes.dlsym(_handle, name))
    except OSError as error:
        raise AttributeError(name) from error
    found.argtypes = argtypes
    return found


_syscall = _LongFunction(_ctypes.dlsym(_handle, "syscall"))
_syscall.argtypes = (c_long, c_ulong, c_ulong, c_ulong, c_ulong, c_ulong, c_ulong)


def check(result: int, name: str, path: object = None) -> int:
    """Return a system call's result, or raise OSError with errno and path."""
    if result < 0:
        number = _ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", path)
    return result


def syscall(name: str, number: int, *args: int, path: object = None) -> int:
    """Make a system call that libc may have no wrapper for; raise OSError on failure."""
    full = (*args, 0, 0, 0, 0, 0, 0)[:6]
    return check(_syscall(number, *full), name, path)


def address(buffer: bytearray) -> int:
    """Return where a buffer lies; it must stay alive and keep its size meanwhile."""
    view = (_Byte * len(buffer)).from_buffer(buffer)
    return _ctypes.addressof(view)


class _Byte(_Simple):
    _type_ = "B"


def string(text: str) -> bytearray:
    """Return a path as the kernel takes it: bytes and a final NUL."""
    return bytearray(os.fsencode(text) + b"\0")
