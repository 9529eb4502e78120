"""What tests of containers share: an engine with the starter image, and a terminal to type at."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import time
from pathlib import Path

from core.config import Config
from core.containers.configuration.options import ContainerOptions
from core.containers.state import read_state
from core.containers.supervision.launcher import Launcher
from core.engine import Engine
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from core.containers.attach.session import Session

DETACH = "ctrl-p,ctrl-q"

PATIENCE_S = 40.0
"""How long what must come may take on a machine that has much else to do."""


def make_engine(
    paths: Paths, door: str, settings: dict[tuple[str, str], Any] | None = None
) -> Engine:
    """Return an engine that has the image `starter`, made of the host's busybox.

    `door`: `fork` for a spawner that is forked ahead, as a command does it; `spawner` for one
    that is started by the first container, as by the app.
    """
    launcher = Launcher(paths.spawners)
    if door == "fork":
        launcher.prepare()
    engine = Engine(paths, Config(settings or {}), launcher)
    if not engine.images.list():
        engine.images.make_starter().result()
    return engine


def spawner(paths: Paths) -> int:
    """Return the process that forks the monitors of some directories."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = spawners(paths)
        return bool(found)

    until(is_there)
    return found[0]


def parted(paths: Paths, container: str) -> int:
    """Return the spawner once it is another process than the monitor of the first container."""
    monitor = read_state(paths.container(container)).monitor
    found: list[int] = []

    def has_parted() -> bool:
        found[:] = [spawner(paths)]
        return found != [monitor]

    until(has_parted)
    return found[0]


def spawners(paths: Paths) -> list[int]:
    """Return the processes that fork monitors of some directories now."""
    # A first monitor may have forked the spawner, and become no more than a monitor, meanwhile.
    return _spawners_seen(paths) or _spawners_seen(paths)


def _spawners_seen(paths: Paths) -> list[int]:
    wanted = f"limpet: spawner at {paths.spawners}".encode()
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # What it forks is called the same.
            parent = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().startswith(wanted)
            above = Path(f"/proc/{parent}/cmdline").read_bytes().startswith(wanted)
            if command and not above:
                found.append(int(folder.name))
    return found


def options(*command: str, **changes: Any) -> ContainerOptions:
    """Return options of a container without a network."""
    changes.setdefault("network", "none")
    return ContainerOptions(image="starter", command=command, **changes)


def shell(script: str, **changes: Any) -> ContainerOptions:
    """Return options of a container that runs a shell script."""
    return options("sh", "-c", script, **changes)


def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def run(session: Session, stdin: bytes | None = None) -> tuple[int, bytes, bytes]:
    """Relay a session without a terminal; return exit code, stdout and stderr."""
    with session, open(os.devnull, "rb") as null:
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        in_read = null.fileno()
        if stdin is not None:
            in_read, in_write = os.pipe()
            feeder = threading.Thread(target=_feed, args=(in_write, stdin))
            feeder.start()
        read: dict[int, bytes] = {}
        readers = [
            threading.Thread(target=_collect, args=(fd, read)) for fd in (out_read, err_read)
        ]
        for reader in readers:
            reader.start()
        try:
            code = session.relay(in_read, out_write, err_write, DETACH)
        finally:
            os.close(out_write)
            os.close(err_write)
            if stdin is not None:
                os.close(in_read)
                feeder.join()
            for reader in readers:
                reader.join()
    return code, read[out_read], read[err_read]


def _feed(fd: int, data: bytes) -> None:
    try:
        with open(fd, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        pass  # the container ended before it had read everything


def _collect(fd: int, read: dict[int, bytes]) -> None:
    with open(fd, "rb") as file:
        read[fd] = file.read()


class Terminal:
    """A session on a pseudo-terminal, in a thread, and the person's end of it."""

    def __init__(self, session: Session, keys: str = DETACH) -> None:
        self.master, self.slave = os.openpty()
        self.code: int | None = None
        self.error: BaseException | None = None
        self.seen = b""
        self._session = session
        self._thread = threading.Thread(target=self._relay, args=(keys,))
        cooked = termios.tcgetattr(self.slave)
        self._thread.start()
        # What is typed before the terminal is raw is the terminal's own: Ctrl-C would be lost.
        until(lambda: termios.tcgetattr(self.slave) != cooked or self.error)

    def _relay(self, keys: str) -> None:
        try:
            with self._session as session:
                self.code = session.relay(self.slave, self.slave, self.slave, keys)
        except BaseException as error:  # noqa: BLE001 - for the test to look at
            self.error = error

    def type(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def expect(self, text: bytes, timeout_s: float = PATIENCE_S) -> None:
        """Read until the text has appeared, and forget what came before its end."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.master], [], [], left)[0]
            assert ready, f"{text!r} did not come; seen: {self.seen[-500:]!r}, {self.error!r}"
            self.seen += os.read(self.master, 65536)
        self.seen = self.seen.partition(text)[2]

    def end(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the relay to return and give its code."""
        deadline = time.monotonic() + timeout_s
        while self._thread.is_alive():
            assert time.monotonic() < deadline, f"still attached; seen: {self.seen[-500:]!r}"
            if select.select([self.master], [], [], 0.01)[0]:
                self.seen += os.read(self.master, 65536)
        if self.error is not None:
            raise self.error
        assert self.code is not None
        return self.code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        os.close(self.master)
        self._thread.join(PATIENCE_S)
        os.close(self.slave)


def reap() -> None:
    """Collect the monitors that this process forked: they end a moment after their container."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.005)


def processes_named(word: str) -> list[int]:
    """Return processes of this host that have a word in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if word.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
