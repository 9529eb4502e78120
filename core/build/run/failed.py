"""A RUN that failed, kept for a look into it: its files, its command, what it ran upon.

One is kept a host, until the next build, or until somebody has looked.
"""

from __future__ import annotations

import os

from core.errors import InUse, NotFound
from core.lean_json import dumps, loads
from core.record import Record
from core.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.build.run.run_step import Command
    from core.engine import Engine
    from core.paths import Paths

STATE = "state.json"


class Failed(Record):
    """What `limpet debug` needs."""

    title: str
    layers: tuple[str, ...]
    """diff IDs, lowest first."""
    env: tuple[str, ...]
    workdir: str
    user: str
    network: str
    argv: tuple[str, ...]
    shell: tuple[str, ...]


def folder(paths: Paths) -> str:
    """Return where it is kept."""
    return f"{paths.data}/build/failed"


def keep(
    paths: Paths, upper: str, title: str, layers: Sequence[str], command: Command,
    shell: Sequence[str],
) -> None:  # fmt: skip
    """Keep what a RUN wrote in place of what was kept before."""
    place = folder(paths)
    remove_tree(place)
    os.makedirs(place, 0o700)
    os.rename(upper, f"{place}/upper")
    found = Failed(
        title, tuple(layers), command.env, command.workdir, command.user, command.network,
        command.argv, tuple(shell),
    )  # fmt: skip
    with open(f"{place}/{STATE}", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(dumps(found.as_dict()))


def forget(paths: Paths) -> None:
    """Remove what is kept."""
    remove_tree(folder(paths))


def load(paths: Paths) -> Failed:
    """Return what is kept; NotFound when nothing is."""
    try:
        with open(f"{folder(paths)}/{STATE}", encoding="utf-8", errors="surrogateescape") as file:
            found: dict[str, Any] = loads(file.read())
    except FileNotFoundError:
        raise NotFound(
            "no failed RUN is kept", hint="build --debug keeps the next that fails"
        ) from None
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
    }
    return Failed(**values)


def enter(
    engine: Engine, say: Callable[[str], None], argv: Sequence[str] = ()
) -> Callable[[int, int, int], int]:
    """Return what runs a command in it, or its shell, on descriptors; see `Foreground.relay`.

    What is done there stays for the next.  Raises NotFound; InUse while somebody else is in it.
    """
    failed = load(engine.paths)

    def relay(stdin: int, stdout: int, stderr: int) -> int:
        from core.build.homes import Home
        from core.build.run.run_step import Command, Runner
        from core.containers import starting
        from core.containers.attach.session import Session

        lower = []
        for diff_id in reversed(failed.layers):
            rows = engine.database.query("SELECT id FROM layers WHERE diff_id=?", (diff_id,))
            if not rows:
                raise NotFound("a layer below the failed RUN was removed", hint="build again")
            lower.append(rows[0][0])
        say(f"{failed.title}\n")
        container_id = os.urandom(32).hex()
        with Home(engine.paths) as home:
            runner = Runner(engine.paths, home.path, engine.config, engine.network, engine.launcher)
            starting.make_directories(runner.paths, container_id)
            directory = runner.directory(container_id)
            os.rmdir(f"{directory}/upper")
            try:
                os.rename(f"{folder(engine.paths)}/upper", f"{directory}/upper")
            except FileNotFoundError:
                raise InUse(
                    "another limpet debug looks into the failed RUN",
                    hint="leave its shell, then: limpet debug",
                ) from None
            tty = os.isatty(stdin)
            command = Command(
                tuple(argv) or failed.shell[:1] or ("/bin/sh",), (*failed.env, "TERM=xterm"),
                failed.workdir, failed.user, failed.network,
            )  # fmt: skip
            try:
                running = runner.start(container_id, lower, command, tty=tty, stdin=True)
                session = Session(running.channel, tty=tty, stdin=True)
                try:
                    return session.relay(stdin, stdout, stderr, "ctrl-p,ctrl-q")
                finally:
                    _put_back(f"{directory}/upper", engine.paths)
                    remove_tree(directory)
                    running.close()
            except BaseException:
                _put_back(f"{directory}/upper", engine.paths)
                raise

    return relay


def _put_back(upper: str, paths: Paths) -> None:
    """Keep what was looked into for the next look, unless another RUN has failed meanwhile."""
    target = f"{folder(paths)}/upper"
    if os.path.isdir(upper) and os.path.isdir(folder(paths)) and not os.path.exists(target):
        os.rename(upper, target)
