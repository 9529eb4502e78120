"""Asks a systemd for a scope: a unit around processes that are there, with their cgroup.

It is spoken to on its own socket, in the D-Bus protocol but without a bus between: root's
manager, or that of a user.  org.freedesktop.systemd1(5), systemd.scope(5),
https://dbus.freedesktop.org/doc/dbus-specification.html
"""

from __future__ import annotations

import _socket
import errno
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SIGNATURE = 1, 2, 3, 4, 5, 6, 8
SERIAL = 1
NAME, OBJECT = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
PATIENCE_S = 10.0


def start_scope(
    socket: str, uid: int, name: str, pids: Sequence[int], slice_: str, description: str
) -> None:
    """Make a delegated scope with these processes in it, and wait until they are.

    `uid` is who this process is outside its user namespace.  Raises OSError: ENOENT or
    ECONNREFUSED when there is no such manager, EEXIST when there is such a unit, EIO with
    what systemd said.
    """
    body = _Writer()
    body.text(name)
    body.text("fail")

    def add(key: str, kind: str, write: Callable[[], None]) -> None:
        body.align(8)
        body.text(key)
        body.signature(kind)
        write()

    numbers = [partial(body.number, pid) for pid in pids]
    properties = (
        ("Description", "s", partial(body.text, description)),
        ("Delegate", "b", partial(body.number, 1)),
        ("Slice", "s", partial(body.text, slice_)),
        ("CollectMode", "s", partial(body.text, "inactive-or-failed")),
        ("PIDs", "au", partial(body.array, 4, numbers)),
    )
    body.array(8, [partial(add, *one) for one in properties])
    body.array(8, [])
    manager = _Manager(socket, uid)
    try:
        job = manager.call("StartTransientUnit", "ssa(sv)a(sa(sv))", body)
        manager.wait(job)
    finally:
        manager.close()


def attach(socket: str, uid: int, name: str, inside: str, pid: int) -> None:
    """Move a process into a delegated unit's cgroup `inside`, such as `/sub`.

    Raises OSError: ENOENT when there is no such unit or manager, EIO with what systemd said.
    """
    body = _Writer()
    body.text(name)
    body.text(inside)
    body.array(4, [partial(body.number, pid)])
    _call(socket, uid, "AttachProcessesToUnit", "ssau", body)


def start(socket: str, uid: int, name: str) -> None:
    """Start a unit, and do not wait for it.  Raises OSError: ENOENT when there is no such unit."""
    _replace(socket, uid, "StartUnit", name)


def stop(socket: str, uid: int, name: str) -> None:
    """Stop a unit, and do not wait for it.  Raises OSError: ENOENT when there is no such unit."""
    _replace(socket, uid, "StopUnit", name)


def reload(socket: str, uid: int) -> None:
    """Have the manager read its units anew.  Raises OSError."""
    _call(socket, uid, "Reload", "", _Writer())


def _replace(socket: str, uid: int, method: str, name: str) -> None:
    """Have something done to a unit, in place of what it is waiting for."""
    body = _Writer()
    body.text(name)
    body.text("replace")
    _call(socket, uid, method, "ss", body)


def _call(socket: str, uid: int, method: str, signature: str, body: _Writer) -> None:
    manager = _Manager(socket, uid)
    try:
        manager.call(method, signature, body)
    finally:
        manager.close()


class _Manager:
    """A connection to systemd; one call at a time."""

    def __init__(self, path: str, uid: int) -> None:
        self._channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._channel.settimeout(PATIENCE_S)
        self._read = b""
        try:
            self._greet(path, uid)
        except OSError:
            self._channel.close()
            raise

    def _greet(self, path: str, uid: int) -> None:
        self._channel.connect(path)
        self._channel.sendall(b"\0AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\n")
        while not self._read.endswith(b"\r\n"):
            self._receive()
        if not self._read.startswith(b"OK "):
            raise OSError(errno.EACCES, f"systemd refused: {self._read.decode().strip()}")
        self._read = b""
        self._channel.sendall(b"BEGIN\r\n")

    def close(self) -> None:
        self._channel.close()

    def call(self, member: str, signature: str, body: _Writer) -> bytes:
        """Call a method of the manager's; returns the answer's body.  Raises OSError."""
        head = _Writer(bytes((ord("l"), METHOD_CALL, 0, 1)))
        head.number(len(body.data))
        head.number(SERIAL)

        def field(code: int, kind: str, value: str) -> None:
            head.align(8)
            head.data.append(code)
            head.signature(kind)
            (head.signature if kind == "g" else head.text)(value)

        fields = ((PATH, "o", OBJECT), (INTERFACE, "s", f"{NAME}.Manager"), (MEMBER, "s", member),
                  (DESTINATION, "s", NAME), (SIGNATURE, "g", signature))  # fmt: skip
        head.array(8, [partial(field, *one) for one in fields])
        head.align(8)
        self._channel.sendall(head.data + body.data)
        while True:
            kind, found, answer = self._message()
            if found.get(REPLY_SERIAL) != SERIAL.to_bytes(4, "little"):
                continue
            if kind == ERROR:
                name = found[ERROR_NAME].decode()
                text = next(_strings(answer, 0), name)
                number = errno.EEXIST if name.endswith("UnitExists") else errno.EIO
                raise OSError(errno.ENOENT if "NoSuchUnit" in name else number, f"systemd: {text}")
            return answer

    def wait(self, job: bytes) -> None:
        """Wait until a job is done; `job` is the answer to the call that made it."""
        path = next(_strings(job, 0))
        while True:
            kind, found, body = self._message()
            if kind == SIGNAL and found.get(MEMBER) == b"JobRemoved":
                done, _, result = _strings(body, 4)
                if done == path:
                    if result != "done":
                        raise OSError(errno.EIO, f"systemd: the start of {path} has {result}")
                    return

    def _message(self) -> tuple[int, dict[int, bytes], bytes]:
        """Return the next message: kind, header fields, body."""
        head = self._take(16)
        size, length = _int(head, 4), _int(head, 12)
        fields = self._take(-(-length // 8) * 8)
        return head[1], dict(_fields(fields[:length])), self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            self._receive()
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _receive(self) -> None:
        part = self._channel.recv(64 << 10)
        if not part:
            raise OSError(errno.ECONNRESET, "systemd has hung up")
        self._read += part


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a header's fields: code, and the bytes of a number or a text."""
    at = 0
    while at < len(data):
        code, kind = data[at], chr(data[at + 2])
        at += 4
        if kind == "g":
            size = data[at] + 1
            yield code, data[at + 1 : at + size]
            at += size + 1
        elif kind == "u":
            yield code, data[at : at + 4]
            at += 4
        else:
            size = _int(data, at)
            yield code, data[at + 4 : at + 4 + size]
            at += 4 + size + 1
        at = -(-at // 8) * 8


def _strings(body: bytes, at: int) -> Iterator[str]:
    """Yield the texts that a body consists of from a place on."""
    while at < len(body):
        size = _int(body, at)
        yield body[at + 4 : at + 4 + size].decode()
        at = -(-(at + 4 + size + 1) // 4) * 4


def _int(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


class _Writer:
    """What is sent: each value at a multiple of its size."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    def align(self, size: int) -> None:
        self.data += bytes(-len(self.data) % size)

    def number(self, value: int) -> None:
        self.align(4)
        self.data += value.to_bytes(4, "little")

    def text(self, value: str) -> None:
        data = value.encode()
        self.number(len(data))
        self.data += data + b"\0"

    def signature(self, value: str) -> None:
        self.data += bytes((len(value),)) + value.encode() + b"\0"

    def array(self, size: int, elements: Sequence[Callable[[], None]]) -> None:
        """Write a list whose elements, each written by a call, are aligned to `size`."""
        self.number(0)
        place = len(self.data)
        self.align(size)
        first = len(self.data)
        for write in elements:
            write()
        self.data[place - 4 : place] = (len(self.data) - first).to_bytes(4, "little")
