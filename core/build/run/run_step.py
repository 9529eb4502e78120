"""RUN: a container like any other, but for its row, whose writable layer is kept.

It ends with the build: when the build is killed, its monitor kills and removes it.
"""

from __future__ import annotations

import os
import select
import sys
import time

from core.containers import networking, starting, stored
from core.containers.configuration import spec
from core.containers.configuration.options import ContainerOptions
from core.containers.state import State
from core.containers.supervision import protocol
from core.errors import HostError
from core.paths import Paths
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.config import Config
    from core.containers.supervision.launcher import Launcher
    from core.network.network import Network

HOSTNAME = "build"
CHECK_EVERY_S = 0.1
MOST_BYTES, TAIL_BYTES = 2 << 20, 8 << 10
"""Of the output of one RUN."""
CLEANUP = os.path.join(os.path.dirname(__file__), "cleanup.py")
NOTHING: tuple[Any, ...] = ("../build/empty",)
"""What stands in for layers where there are none."""


class BuildPaths(Paths):
    """Paths under which the containers of one build lie in the build's own directory."""

    home: str

    def container(self, container_id: str) -> str:
        """Return the directory of one RUN."""
        return f"{self.home}/{container_id[:12]}"


class Command(Record):
    """What a RUN runs, and in what."""

    argv: tuple[str, ...]
    env: tuple[str, ...]
    workdir: str
    user: str
    network: str
    mounts: tuple[dict[str, Any], ...] = ()
    """As an OCI runtime configuration has them."""


class Runner:
    """Runs commands upon layers."""

    def __init__(
        self, paths: Paths, home: str, config: Config, network: Network, launcher: Launcher
    ) -> None:
        self.paths = self._paths = BuildPaths(paths.data, paths.run, home)
        self._config = config
        self._network = network
        self._launcher = launcher

    def directory(self, container_id: str) -> str:
        """Return where a RUN's files lie."""
        return self._paths.container(container_id)

    def start(
        self, container_id: str, lower: Sequence[int], command: Command,
        *, tty: bool = False, stdin: bool = False,
    ) -> Running:  # fmt: skip
        """Start a command; its directory may be there already, with what was written to it."""
        options = ContainerOptions(
            image=HOSTNAME, command=command.argv, entrypoint=(), hostname=HOSTNAME,
            env=command.env, workdir=command.workdir, user=command.user,
            network=command.network or self._config["container", "network"],
            tty=tty, stdin_open=stdin, auto_remove=True, log_driver="none",
        )  # fmt: skip
        directory = self._paths.container(container_id)
        made = spec.build_spec(
            options, {}, self._config, hostname=HOSTNAME, directory=directory,
            volumes=self._paths.volumes,
        )  # fmt: skip
        made["mounts"] += command.mounts
        row = stored.Row(
            container_id, HOSTNAME, HOSTNAME, "", time.time(), _document(options, made)
        )
        if not os.path.exists(directory):
            starting.make_directories(self._paths, container_id)
        if not lower:
            os.makedirs(f"{self._paths.data}/build/empty", 0o755, exist_ok=True)
        with self._network.starting():
            return self._launch(row, made, lower)

    def _launch(self, row: stored.Row, made: dict[str, Any], lower: Sequence[int]) -> Running:
        container_id = row.id
        network = networking.prepare(self._network, row, dict)
        ours, theirs = protocol.pair()
        try:
            starting.write_files(self._paths, self._config, row, HOSTNAME, network)
            plan = starting.make_plan(
                self._paths, row, made, tuple(lower) or NOTHING, network, {}
            )  # fmt: skip
            job = starting.make_job(
                self._paths, self._config, row, plan, foreground=True, before=State(),
                pid_namespace=0,
            )  # fmt: skip
            job["ends_with_owner"] = True
            job["remove"] = [
                sys.executable, "-I", "-S", "-E", CLEANUP, self._paths.data, self._paths.run,
                container_id, self._paths.container(container_id),
            ]  # fmt: skip
            with protocol.Closing(theirs):
                self._launcher.launch("monitor", job, theirs.fileno())
        except BaseException:
            ours.close()
            self._network.release(container_id)
            raise
        return Running(ours, lambda: self._network.release(container_id))


class Running:
    """A RUN at work."""

    def __init__(self, channel: Any, released: Callable[[], None]) -> None:
        self.channel = channel
        self._released = released

    def follow(self, say: Callable[[str], None], check: Callable[[], None]) -> int:
        """Pass the output on, line by line, and return the exit code.

        What `check` raises kills the container and is raised again once it has ended.
        """
        lines = Lines(say)
        stop: BaseException | None = None
        while True:
            if stop is None:
                try:
                    check()
                except BaseException as error:  # noqa: BLE001 - raised again below
                    stop = error
                    self._kill()
            if not select.select([self.channel], [], [], CHECK_EVERY_S)[0]:
                continue
            message = protocol.receive(self.channel)
            if not message:
                raise stop or HostError(
                    "the monitor of the RUN has ended unexpectedly", hint="limpet doctor"
                )
            if message[0] in (protocol.STDOUT, protocol.STDERR):
                lines.feed(message[1:], message[0])
            elif message[0] == protocol.EXIT:
                lines.end()
                if stop is not None:
                    raise stop
                return int(message[1])

    def close(self) -> None:
        """Let the monitor go and give the address back; the directory is the caller's to take
        away before, or the monitor does it.
        """
        self.channel.close()
        self._released()

    def _kill(self) -> None:
        try:
            self.channel.send(protocol.signal(9))
        except OSError:
            pass  # it is ending


class Lines:
    """Makes lines of what comes in pieces, each stream for itself.

    Of a flood only the beginning and the end are told.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest: dict[int, bytes] = {}
        self._told = 0

    def feed(self, data: bytes, stream: int) -> None:
        """Take a piece of a stream."""
        rest = self._rest.get(stream, b"")
        if self._told > MOST_BYTES:
            self._rest[stream] = (rest + data)[-TAIL_BYTES:]
            return
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > TAIL_BYTES:
            lines, rest = [*lines, rest], b""
        self._rest[stream] = rest
        for line in lines:
            self._tell(line)
        self._told += len(data)
        if self._told > MOST_BYTES:
            self._say(f"the output is clipped after {MOST_BYTES >> 20} MiB; its end follows")

    def end(self) -> None:
        """Tell what was not ended by a newline, and the end of what was clipped."""
        for rest in self._rest.values():
            for line in rest.removesuffix(b"\n").split(b"\n") if rest else ():
                self._tell(line)
        self._rest = {}

    def _tell(self, line: bytes) -> None:
        # Of a line that was painted over, the last state counts.
        line = line.rstrip(b"\r").rpartition(b"\r")[2]
        self._say(line.decode("utf-8", "replace"))


def _document(options: ContainerOptions, made: dict[str, Any]) -> dict[str, Any]:
    from core.lean_json import loads

    document: dict[str, Any] = loads(stored.document_of(options, made["process"]["args"], {}))
    return document
