"""Joins a person's terminal, or a script's pipes, with a container.

One poll loop: keys go out as they come, one message a read, and nothing waits for a timer.
"""

from __future__ import annotations

import _signal
import os
import select
import time

from core.containers.attach.detach_keys import DetachScanner
from core.containers.attach.session import lost
from core.containers.supervision import protocol
from core.linux import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

PROXIED = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM,
           _signal.SIGUSR1, _signal.SIGUSR2)  # fmt: skip
"""Signals that a front end without a raw terminal passes on to the container."""
FATAL = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)
"""Signals that end a front end with a raw terminal, once the terminal is restored."""
ASKING = (_signal.SIGINT, _signal.SIGTERM)
AGAIN_S = 2.0
TIMES = 3
"""So many of SIGINT and SIGTERM, each so soon after the other, leave what takes no notice."""
ONCE_MORE = b"limpet: ctrl-c once more leaves it running\r\n"
SIZE_POLL_MS = 250
"""How often a thread that cannot have signal handlers looks at the terminal's size."""
DETACHED = -1


class Relay:
    """One run of `Session.relay`."""

    def __init__(
        self,
        channel: _socket.socket,
        stdin_fd: int,
        stdout_fd: int,
        stderr_fd: int,
        detach_keys: bytes,
        *,
        tty: bool,
        stdin: bool,
        proxy: bool = True,
    ) -> None:
        self._channel = channel
        self._fds = {1: stdout_fd, 2: stderr_fd}
        self._stdin_fd = stdin_fd
        self._stdin = stdin
        self._size_fd = stdout_fd if tty and os.isatty(stdout_fd) else -1
        self._raw = tty and stdin and os.isatty(stdin_fd)
        self._scanner = DetachScanner(detach_keys if self._raw else b"")
        self._unanswered = 0
        self._size = (0, 0)
        numbers = FATAL if self._raw else PROXIED if proxy else ()
        self._signals = _Signals(numbers)
        self._asked = 0
        """How often in a row the container was asked to end, last at `_asked_at`."""
        self._asked_at = 0.0
        self._poll = select.poll()
        self._reading = False

    def run(self) -> int:
        """Relay until the exit code (returned), or until the person leaves (-1)."""
        saved = terminal.make_raw(self._stdin_fd) if self._raw else None
        try:
            self._signals.install()
            self._send_size()
            return self._loop()
        finally:
            if saved is not None:
                terminal.restore(self._stdin_fd, saved)
            self._signals.restore()

    def _loop(self) -> int:
        self._poll.register(self._channel, select.POLLIN)
        if self._signals.fd >= 0:
            self._poll.register(self._signals.fd, select.POLLIN)
        self._watch_stdin()
        timeout = SIZE_POLL_MS if self._signals.fd < 0 and self._size_fd >= 0 else None
        while True:
            for fd, _ in self._poll.poll(timeout):
                if fd == self._channel.fileno():
                    code = self._receive()
                elif fd == self._signals.fd:
                    code = self._take_signals()
                else:
                    code = self._read_stdin()
                if code is not None:
                    return code
            if timeout is not None:
                self._send_size()

    def _watch_stdin(self) -> None:
        """Read stdin only while the monitor has room for what is read."""
        wanted = self._stdin and self._unanswered < protocol.WINDOW
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._poll.register(self._stdin_fd, select.POLLIN)
            else:
                self._poll.unregister(self._stdin_fd)

    def _receive(self) -> int | None:
        message = protocol.receive(self._channel)
        if not message:
            raise lost()
        kind = message[0]
        if kind in (protocol.STDOUT, protocol.STDERR):
            _write_all(self._fds[1 if kind == protocol.STDOUT else 2], message[1:])
        elif kind == protocol.TAKEN:
            self._unanswered -= 1
            self._watch_stdin()
        elif kind in (protocol.EXIT, protocol.ENDED):
            return message[1]
        return None

    def _read_stdin(self) -> int | None:
        try:
            data = os.read(self._stdin_fd, protocol.MAX_DATA)
        except BlockingIOError:
            return None
        except OSError:
            data = b""  # EIO: the terminal is gone
        if not data:
            self._stdin = False
            self._watch_stdin()
            self._send(bytes((protocol.CLOSE,)))
            return None
        data, detach = self._scanner.feed(data)
        if data:
            self._send(b"0" + data)
            self._unanswered += 1
            self._watch_stdin()
        return self._detach() if detach else None

    def _take_signals(self) -> int | None:
        for number in self._signals.read():
            if number == _signal.SIGWINCH:
                self._send_size()
            elif self._raw:
                self._signals.fatal = number
                raise InterruptedError(f"signal {number}")
            else:
                self._send(protocol.signal(number))
                if number in ASKING and self._insists():
                    return self._detach()
        return None

    def _insists(self) -> bool:
        """Tell whether the person asks again and again what does not hear it; say how to leave."""
        now = time.monotonic()
        self._asked = self._asked + 1 if now - self._asked_at < AGAIN_S else 1
        self._asked_at = now
        if self._asked == TIMES - 1 and os.isatty(self._fds[2]):
            _write_all(self._fds[2], ONCE_MORE)
        return self._asked >= TIMES

    def _detach(self) -> int:
        self._send(bytes((protocol.DETACH,)))
        return DETACHED

    def _send_size(self) -> None:
        if self._size_fd < 0:
            return
        try:
            size = terminal.get_size(self._size_fd)
        except OSError:
            return
        if size not in (self._size, (0, 0)):
            self._size = size
            self._send(protocol.window_size(*size))

    def _send(self, message: bytes) -> None:
        try:
            self._channel.send(message)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is ending: the exit code, if any, is still to be read


class _Signals:
    """Turns signals into bytes on a pipe while a relay runs; nothing outside the main thread."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = (*numbers, _signal.SIGWINCH)
        self._handlers: dict[int, Any] = {}
        self._wakeup = -1
        self._pipe = (-1, -1)
        self.fd = -1
        self.fatal = 0
        """The signal that ends this process once its terminal is restored."""

    def install(self) -> None:
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._wakeup = _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        except ValueError:  # not the main thread
            os.close(read)
            os.close(write)
            return
        self._pipe, self.fd = (read, write), read
        for number in self._numbers:
            if _signal.getsignal(number) != _signal.SIG_IGN:  # nohup stays nohup
                self._handlers[number] = _signal.signal(number, lambda *_: None)

    def read(self) -> bytes:
        """Return the numbers of ours that came; other handlers' signals come here too."""
        try:
            came = os.read(self.fd, 256)
        except BlockingIOError:
            return b""
        return bytes(number for number in came if number in self._numbers)

    def restore(self) -> None:
        if self.fd < 0:
            return
        for number, handler in self._handlers.items():
            _signal.signal(number, handler if handler is not None else _signal.SIG_DFL)
        _signal.set_wakeup_fd(self._wakeup)
        os.close(self._pipe[0])
        os.close(self._pipe[1])
        self.fd = -1
        if self.fatal:
            os.kill(os.getpid(), self.fatal)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # somebody made our stdout non-blocking
            waiter = select.poll()
            waiter.register(fd, select.POLLOUT)
            waiter.poll()
