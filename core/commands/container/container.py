"""The verbs of containers that are there; `core.commands.container.create` makes them."""

from __future__ import annotations

from core.commands.foreground import foreground
from core.commands.grammar import Args, Removing, flag, option, positional, rest, verb
from core.commands.options import values
from core.commands.result import Plan, Result, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.containers.attach.session import Session
    from core.engine import Engine


SIDE_BY_SIDE = 32
"""How many containers are stopped at once."""


class Stop(Args):
    """Options of `stop`."""

    signal: int = option(
        "-s", "--signal", help="which signal first, instead of its own", default=0,
        metavar="SIGNAL", convert=values.signal, complete="signal",
    )  # fmt: skip
    time: int = option(
        "-t",
        "--time",
        "--timeout",
        help="seconds to wait before SIGKILL",
        default=-1,
        metavar="SECONDS",
        convert=values.whole,
    )
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="running"
    )


class Restart(Stop):
    """Options of `restart`: what does not run is only started."""

    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


class Pause(Args):
    """Arguments of `pause`."""

    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="unpaused"
    )


class Unpause(Args):
    """Arguments of `unpause`."""

    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="paused"
    )


class Kill(Args):
    """Options of `kill`."""

    signal: int = option(
        "-s",
        "--signal",
        help="which signal",
        default=9,
        metavar="SIGNAL",
        convert=values.signal,
        complete="signal",
    )
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="running"
    )


class Start(Args):
    """Options of `start`."""

    attach: bool = flag("-a", "--attach", help="show its output here")
    interactive: bool = flag("-i", "--interactive", help="and send it what is typed")
    detach_keys: str = option("--detach-keys", help="keys that leave the terminal", metavar="KEYS")
    sig_proxy: bool = flag(
        "--sig-proxy", help="pass signals on; =false: end only here", default=True
    )
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="stopped"
    )


class Attach(Args):
    """Options of `attach`."""

    no_stdin: bool = flag("--no-stdin", help="only show its output")
    sig_proxy: bool = flag(
        "--sig-proxy", help="pass signals on; =false: end only here", default=True
    )
    detach_keys: str = option("--detach-keys", help="keys that leave the terminal", metavar="KEYS")
    container: str = positional("name or ID", complete="running")


class Exec(Args):
    """Options of `exec`."""

    interactive: bool = flag("-i", "--interactive", help="send it what is typed")
    tty: bool = flag("-t", "--tty", help="give it a terminal")
    detach: bool = flag("-d", "--detach", help="do not wait for it")
    env: tuple[str, ...] = option(
        "-e",
        "--env",
        help="NAME=VALUE",
        many=True,
        metavar="NAME=VALUE",
        convert=values.environment,
    )
    env_file: tuple[str, ...] = option(
        "--env-file", help="a file of NAME=VALUE lines", many=True, metavar="FILE", complete="path"
    )
    workdir: str = option(
        "-w", "--workdir", help="working directory inside", metavar="PATH", complete="inside"
    )
    user: str = option(
        "-u", "--user", help="user and group, names or numbers", metavar="USER[:GROUP]"
    )
    privileged: bool = flag("--privileged", help="with all capabilities")
    detach_keys: str = option("--detach-keys", help="keys that leave the terminal", metavar="KEYS")
    container: str = positional("name or ID", complete="running")
    command: tuple[str, ...] = rest(
        "command and its arguments", metavar="COMMAND", complete="inside"
    )


class Wait(Args):
    """Options of `wait`."""

    condition: str = option(
        "--condition",
        help="until when: not-running, next-exit or removed",
        default="not-running",
        metavar="CONDITION",
        choices=("not-running", "next-exit", "removed"),
    )
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


class Remove(Removing):
    """Options of `rm`."""

    force: bool = flag("-f", "--force", help="kill it first if it runs; no error for one not there")
    volumes: bool = flag("-v", "--volumes", help="its anonymous volumes too (always so here)")
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


class Rename(Args):
    """Arguments of `rename`."""

    container: str = positional("name or ID", complete="container")
    name: str = positional("the new name", metavar="NEW-NAME", convert=values.container_name)


@verb("container start", Start, "Start stopped containers", "start")
def start(engine: Engine, args: Start) -> Result:
    """Start each; with -a or -i one, in the foreground."""
    if args.attach or args.interactive:
        reference = args.containers[0]
        return foreground(
            engine,
            f"start {reference}",
            args.detach_keys,
            lambda: engine.containers.start_attached(reference, stdin=args.interactive),
            proxy=args.sig_proxy,
        )
    return each(args.containers, engine.containers.start)


@verb("container stop", Stop, "Stop running containers", "stop")
def stop(engine: Engine, args: Stop) -> Result:
    """Send the stop signal, and SIGKILL when the time is over."""
    return side_by_side(
        engine, args.containers, lambda name: engine.containers.stop(name, args.time, args.signal)
    )


@verb("container restart", Restart, "Stop and start containers", "restart")
def restart(engine: Engine, args: Restart) -> Result:
    """Stop each, whether it runs or not, then start it."""

    def again(name: str) -> None:
        engine.containers.stop(name, args.time, args.signal)
        engine.containers.start(name)

    return side_by_side(engine, args.containers, again)


@verb("container kill", Kill, "Send a signal to running containers", "kill")
def kill(engine: Engine, args: Kill) -> Result:
    """Send the signal to each container's first process."""
    return each(args.containers, lambda name: engine.containers.kill(name, args.signal))


@verb("container pause", Pause, "Freeze all processes of containers", "pause")
def pause(engine: Engine, args: Pause) -> Result:
    """Freeze each."""
    return each(args.containers, engine.containers.pause)


@verb("container unpause", Unpause, "Let frozen containers go on", "unpause")
def unpause(engine: Engine, args: Unpause) -> Result:
    """Thaw each."""
    return each(args.containers, engine.containers.unpause)


@verb("container rm", Remove, "Remove containers and what they wrote", "rm")
def rm(engine: Engine, args: Remove) -> Result:
    """Plan the removal of each; nothing is removed if one of them cannot be.

    With --force one that is not there is no error.
    """
    names = args.containers
    if args.force:
        names = tuple(name for name in names if _is_there(engine, name))
    found = [engine.containers.resolve(name) for name in names]
    engine.containers.check_removable(found, force=args.force)
    lines = tuple(
        f"container {info.name} ({info.id[:12]}, {info.image}, {info.state})" for info in found
    )

    def apply() -> Result:
        engine.trash.sweep()
        bin_ = engine.trash.open(f"rm {' '.join(names)}")
        return each(names, lambda name: engine.containers.rm(name, force=args.force, bin_=bin_))

    if not names:
        return Text("")
    return Plan(f"remove {len(found)} container{'s' * (len(found) != 1)}", lines, apply).unless(
        args.dry_run
    )


def _is_there(engine: Engine, name: str) -> bool:
    from core.errors import NotFound

    try:
        engine.containers.resolve(name)
    except NotFound:
        return False
    return True


@verb(
    "container exec",
    Exec,
    "Run a command in a running container",
    "exec",
    examples=("exec -it web sh",),
)
def exec_(engine: Engine, args: Exec) -> Result:
    """Run the command beside the container's own."""
    if not args.command:
        from core.commands.grammar import REGISTRY, usage_error

        raise usage_error(REGISTRY["exec"], "COMMAND is missing: what to run in the container")

    env = (*values.lines_of(args.env_file, "--env-file", values.environment), *args.env)

    def start() -> Session:
        return engine.containers.exec(
            args.container,
            args.command,
            tty=args.tty,
            stdin=args.interactive,
            env=tuple(filter(None, env)),
            workdir=args.workdir,
            user=args.user,
            privileged=args.privileged,
            detach=args.detach,
        )

    if args.detach:
        start()
        return Text("")
    return foreground(engine, f"exec {args.container}", args.detach_keys, start)


@verb("container attach", Attach, "Join a container's terminal or output", "attach")
def attach(engine: Engine, args: Attach) -> Result:
    """Attach to the first process's stdin, stdout and stderr."""
    return foreground(
        engine,
        f"attach {args.container}",
        args.detach_keys,
        lambda: engine.containers.attach(args.container),
        stdin=not args.no_stdin,
        proxy=args.sig_proxy,
    )


@verb(
    "container wait",
    Wait,
    "Wait until containers end, print their exit codes",
    "wait",
    changes=False,
)
def wait(engine: Engine, args: Wait) -> Result:
    """Wait for each in turn."""
    from core.containers.waiting import wait_for

    return Text("\n".join(
        str(wait_for(engine.containers, name, args.condition)) for name in args.containers
    ))  # fmt: skip


@verb("container rename", Rename, "Give a container another name", "rename")
def rename(engine: Engine, args: Rename) -> Result:
    """Rename it."""
    engine.containers.rename(args.container, args.name)
    return Text(args.name)


def side_by_side(engine: Engine, names: tuple[str, ...], act: Callable[[str], Any]) -> Result:
    """Do what takes its time to each at once: together they take as long as the slowest."""
    if len(names) == 1:
        return each(names, act)
    from concurrent.futures import ThreadPoolExecutor

    from core.errors import Error

    def caught(name: str) -> Error | None:
        try:
            act(name)
        except Error as error:
            return error
        finally:
            engine.database.close()  # this thread's connection
        return None

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        failed = dict(zip(names, pool.map(caught, names), strict=True))

    def tell(name: str) -> None:
        if error := failed[name]:
            raise error

    return each(names, tell)


def each(names: tuple[str, ...], act: Callable[[str], Any]) -> Result:
    """Do it to each, go on after a failure, and raise the first one at the end."""
    from core.errors import Error

    done, failed = [], []
    for name in names:
        try:
            act(name)
            done.append(name)
        except Error as error:
            failed.append(error)
    if failed:
        first = failed[0]
        if len(names) > 1:
            first.message = "; ".join(error.message for error in failed)
            if done:
                first.message += f" (done: {', '.join(done)})"
        raise first
    return Text("\n".join(done))
