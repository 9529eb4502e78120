"""Moves bytes between a container's stdio, its log and the front ends attached to it.

One poll loop, nothing blocks.  A front end that does not read what it is sent stops the
reading of the container's output (so a pipe into `less` slows the container, and nothing
piles up here); one that hangs up is forgotten.  Runs inside monitors and exec sessions.
"""

from __future__ import annotations

import os
import select
import time

from core.containers.supervision import protocol
from core.linux import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from core.containers.supervision.child import Child

IN, OUT = select.POLLIN, select.POLLOUT
END_OF_INPUT = b"\x04"
"""What a person types to end the input of a program on a terminal."""
LONGEST_MS = 1 << 30
"""Of one poll(2), which counts in an int."""
MOST_LEFT = 1 << 20
"""Bytes that a pipe can hold: /proc/sys/fs/pipe-max-size."""


class Loop:
    """poll(2) with one handler a descriptor, and timers."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], object]] = {}
        self._timers: dict[Callable[[], object], float] = {}

    def add(self, fd: int, handler: Callable[[], object], mask: int = IN) -> None:
        """Call `handler` whenever `fd` is ready or hung up."""
        self._handlers[fd] = handler
        self._poll.register(fd, mask)

    def mask(self, fd: int, mask: int) -> None:
        """Change what `fd` is watched for; 0 leaves only hang-ups."""
        self._poll.modify(fd, mask)

    def drop(self, fd: int) -> None:
        """Forget a descriptor; no harm if it is unknown."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def later(self, seconds: float, handler: Callable[[], object]) -> None:
        """Call `handler` once, so many seconds from now; it has only one such time."""
        self._timers[handler] = time.monotonic() + seconds

    def forget(self, handler: Callable[[], object]) -> None:
        """Do not call `handler` when its time comes."""
        self._timers.pop(handler, None)

    def turn(self) -> None:
        """Wait for something to happen, or for a timer, and handle it."""
        for fd, _ in self._poll.poll(self._left_ms()):
            handler = self._handlers.get(fd)
            if handler is not None:  # an earlier handler of this turn may have dropped it
                handler()
        if self._timers:
            now = time.monotonic()
            for late in [each for each, when in self._timers.items() if when <= now]:
                if self._timers.pop(late, None) is not None:
                    late()

    def _left_ms(self) -> int | None:
        if not self._timers:
            return None
        left = min(self._timers.values()) - time.monotonic()
        # Never early, which would turn in circles, but for what poll(2) cannot count.
        return min(max(0, int(left * 1000) + 1), LONGEST_MS)


class Client:
    """A front end at the other end of a socket."""

    def __init__(self, sock: _socket.socket, *, attached: bool, owner: bool) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.attached = attached
        self.owner = owner
        """It started this and waits for the end."""
        self.left = False
        """It said that it leaves."""
        self.pending: list[bytes] = []


class Pump:
    """The stdio of one process tree and the front ends attached to it."""

    def __init__(
        self,
        loop: Loop,
        log: Callable[[int, bytes], None],
        order: Callable[[Client, bytes], None],
        gone: Callable[[Client], None],
    ) -> None:
        self._loop = loop
        self._log = log
        self._order = order
        self._gone = gone
        self.clients: dict[int, Client] = {}
        self._outputs: dict[int, int] = {}
        self._paused = False
        self._stdin = -1
        self._input: list[tuple[Client | None, bytes]] = []
        self._close_stdin = False
        self._terminal = -1

    # -- from one process to the next ------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether no front end is served, and all input has been written."""
        return not (self.clients or self._input)

    def values(self) -> tuple[dict[int, int], int, bool, int]:
        """Return what another process's `go_on` takes, while it is idle: mostly descriptors."""
        return self._outputs, self._stdin, self._close_stdin, self._terminal

    def go_on(self, outputs: dict[int, int], stdin: int, closing: bool, master: int) -> None:
        """Do so where another process has left off."""
        self._stdin, self._close_stdin, self._terminal = stdin, closing, master
        for fd, stream in outputs.items():
            self.add_output(fd, stream)

    # -- what is moved ---------------------------------------------------------------

    def add_output(self, fd: int, stream: int) -> None:
        """Read stdout (1) or stderr (2) from `fd` until its end."""
        os.set_blocking(fd, False)
        self._outputs[fd] = stream
        self._loop.add(fd, lambda: self._read(fd), 0 if self._paused else IN)

    def set_stdin(self, fd: int) -> None:
        """Write what front ends send to `fd`."""
        os.set_blocking(fd, False)
        self._stdin = fd

    def set_terminal(self, master: int, size: tuple[int, int]) -> None:
        """Use a pseudo-terminal for input and output; a size of 0, 0 leaves it alone."""
        self._terminal = os.dup(master)
        if size != (0, 0):
            self.resize(*size)
        self.set_stdin(os.dup(master))
        self.add_output(master, 1)

    def take(self, started: Child, size: tuple[int, int]) -> None:
        """Move what a started process reads and writes; `size` is its terminal's, as above."""
        if started.master >= 0:
            self.set_terminal(started.master, size)
            return
        if started.stdin >= 0:
            self.set_stdin(started.stdin)
        self.add_output(started.stdout, 1)
        self.add_output(started.stderr, 2)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal, if there is one, its new size."""
        if self._terminal >= 0:
            terminal.set_size(self._terminal, rows, columns)

    # -- front ends ------------------------------------------------------------------

    def add_client(
        self, sock: _socket.socket, *, attached: bool = False, owner: bool = False
    ) -> None:
        """Serve a front end."""
        sock.setblocking(False)
        client = Client(sock, attached=attached, owner=owner)
        self.clients[client.fd] = client
        self._loop.add(client.fd, lambda: self._serve(client))

    def send(self, client: Client, message: bytes) -> None:
        """Send a message, later if the front end does not read now."""
        if client.pending:
            client.pending.append(message)
            return
        try:
            client.sock.send(message)
        except BlockingIOError:
            client.pending.append(message)
            self._loop.mask(client.fd, IN | OUT)
            self._update()
        except OSError:
            pass  # the read that follows finds the hang-up, behind what it has asked for

    def send_all(self, message: bytes) -> None:
        """Send a message to every front end, attached or not."""
        for client in list(self.clients.values()):
            self.send(client, message)

    def drop_client(self, client: Client) -> None:
        """Forget a front end."""
        if self.clients.pop(client.fd, None) is None:
            return
        self._loop.drop(client.fd)
        client.sock.close()
        self._update()
        self._gone(client)

    def _serve(self, client: Client) -> None:
        if client.pending:
            self._flush(client)
        try:
            message = protocol.receive(client.sock)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self.drop_client(client)
            return
        kind = message[0]
        if kind == protocol.DATA:
            self._take(client, message[1:])
        elif kind == protocol.CLOSE:
            self.close_stdin()
        elif kind == protocol.ATTACH:
            client.attached = True
        elif kind == protocol.DETACH:
            client.left = True
        elif kind == protocol.WINDOW_SIZE and len(message) == 5:
            self.resize(*protocol.parse_window_size(message))
        else:
            self._order(client, message)

    def _flush(self, client: Client) -> None:
        while client.pending:
            try:
                client.sock.send(client.pending[0])
            except BlockingIOError:
                return
            except OSError:
                client.pending.clear()  # the read that follows finds the hang-up
                break
            del client.pending[0]
        self._loop.mask(client.fd, IN)
        self._update()

    # -- output ----------------------------------------------------------------------

    def _read(self, fd: int) -> int:
        """Pass on what there is to be read; returns how many bytes."""
        try:
            data = os.read(fd, protocol.MAX_DATA)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""  # EIO: every end of the terminal is closed
        if not data:
            self._close_output(fd)
            return 0
        stream = self._outputs[fd]
        self._log(stream, data)
        message = (b"1" if stream == 1 else b"2") + data
        for client in list(self.clients.values()):
            if client.attached:
                self.send(client, message)
        return len(data)

    def _close_output(self, fd: int) -> None:
        self._loop.drop(fd)
        del self._outputs[fd]
        os.close(fd)

    def _update(self) -> None:
        """Read the output only while every front end has taken what it was sent."""
        paused = any(client.pending for client in self.clients.values())
        if paused != self._paused:
            self._paused = paused
            for fd in self._outputs:
                self._loop.mask(fd, 0 if paused else IN)

    def drain(self) -> None:
        """Read what is left once the program has ended, and nothing any more then.

        What it has left in the background may hold the other ends, and write without end.
        """
        for fd in list(self._outputs):
            left = MOST_LEFT
            while left > 0 and (count := self._read(fd)):
                left -= count
            if fd in self._outputs:
                self._close_output(fd)

    def forget_program(self) -> None:
        """Close the input of a program that has ended and was drained: another may follow."""
        if self._stdin >= 0:
            self._end_stdin()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
        self._close_stdin = False

    # -- input -----------------------------------------------------------------------

    def _take(self, client: Client, data: bytes) -> None:
        if self._stdin < 0 or self._close_stdin:
            self.send(client, bytes((protocol.TAKEN,)))
            return
        if sum(1 for sender, _ in self._input if sender is client) >= protocol.WINDOW:
            self.drop_client(client)  # it breaks the rule that bounds our memory
            return
        self._input.append((client, data))
        if len(self._input) == 1:
            self._write()

    def close_stdin(self) -> None:
        """End the input after what is still to be written."""
        if self._stdin < 0 or self._close_stdin:
            return
        if self._terminal >= 0:
            self._input.append((None, END_OF_INPUT))
        else:
            self._close_stdin = True
        self._write()

    def _write(self) -> None:
        while self._input:
            client, data = self._input[0]
            try:
                written = os.write(self._stdin, data)
            except BlockingIOError:
                written = 0
            except OSError:
                self._end_stdin()  # nobody will ever read it
                return
            if written < len(data):
                self._input[0] = (client, data[written:])
                self._loop.add(self._stdin, self._write, OUT)
                return
            del self._input[0]
            self._answer(client)
        self._loop.drop(self._stdin)
        if self._close_stdin:
            self._end_stdin()

    def _answer(self, client: Client | None) -> None:
        if client is not None and client.fd in self.clients:
            self.send(client, bytes((protocol.TAKEN,)))

    def _end_stdin(self) -> None:
        self._loop.drop(self._stdin)
        os.close(self._stdin)
        self._stdin = -1
        left, self._input = self._input, []
        for client, _ in left:
            self._answer(client)
