"""The verbs of containers."""

from __future__ import annotations

from core.commands import values
from core.commands.grammar import Args, Listing, flag, option, positional, rest, verb
from core.commands.result import Column, Document, Foreground, Lines, Plan, Result, Table, Text
from core.containers.options import ContainerOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.containers.attach import Session
    from core.containers.options import Mount
    from core.engine import Engine
    from core.model import ContainerInfo, Port


class Create(Args):
    """Options of `create`."""

    name: str = option("--name", help="its name", metavar="NAME", convert=values.container_name)
    hostname: str = option("-h", "--hostname", help="host name inside", metavar="NAME")
    interactive: bool = flag("-i", "--interactive", help="keep stdin open")
    tty: bool = flag("-t", "--tty", help="give it a terminal")
    env: tuple[str, ...] = option(
        "-e",
        "--env",
        help="NAME=VALUE, or NAME as it is here",
        many=True,
        metavar="NAME=VALUE",
        convert=values.environment,
    )
    env_file: tuple[str, ...] = option(
        "--env-file", help="a file of NAME=VALUE lines", many=True, metavar="FILE", complete="path"
    )
    workdir: str = option("-w", "--workdir", help="working directory inside", metavar="PATH")
    user: str = option(
        "-u", "--user", help="user and group, names or numbers", metavar="USER[:GROUP]"
    )
    volume: tuple[Mount, ...] = option(
        "-v",
        "--volume",
        help="a host directory inside",
        many=True,
        metavar="HOST:PATH[:ro]",
        convert=values.mount,
        complete="path",
    )
    entrypoint: str | None = option(
        "--entrypoint", help="program instead of the image's", default=None, metavar="PROGRAM"
    )
    network: str = option(
        "--network",
        "--net",
        help="none, host or bridge",
        metavar="NETWORK",
        choices=("none", "host", "bridge"),
    )
    publish: tuple[tuple[Port, ...], ...] = option(
        "-p",
        "--publish",
        help="reach a port from outside",
        many=True,
        metavar="[[IP:]HOST:]PORT",
        convert=values.publish,
    )
    memory: int = option(
        "-m", "--memory", help="memory limit", default=0, metavar="SIZE", convert=values.size
    )
    cpus: float = option(
        "--cpus",
        help="how many processors' worth of time",
        default=0.0,
        metavar="N",
        convert=values.number,
    )
    pids_limit: int = option(
        "--pids-limit",
        help="most processes; 0: no limit",
        default=-1,
        metavar="N",
        convert=values.whole,
    )
    read_only: bool = flag("--read-only", help="its root file system cannot be written")
    privileged: bool = flag("--privileged", help="all capabilities and devices, no seccomp")
    cap_add: tuple[str, ...] = option(
        "--cap-add", help="add a capability", many=True, metavar="CAP", complete="capability"
    )
    cap_drop: tuple[str, ...] = option(
        "--cap-drop", help="drop a capability", many=True, metavar="CAP", complete="capability"
    )
    security_opt: tuple[tuple[str, str], ...] = option(
        "--security-opt",
        help="no-new-privileges, seccomp=unconfined or seccomp=FILE",
        many=True,
        metavar="OPTION",
        choices=("no-new-privileges", "seccomp=unconfined"),
        convert=values.security,
    )
    label: tuple[tuple[str, str], ...] = option(
        "-l", "--label", help="NAME=VALUE", many=True, metavar="NAME=VALUE", convert=values.label
    )
    stop_signal: str = option(
        "--stop-signal",
        help="signal that stops it",
        metavar="SIGNAL",
        complete="signal",
        convert=values.signal_name,
    )
    stop_timeout: int = option(
        "--stop-timeout",
        help="seconds from that to SIGKILL",
        default=-1,
        metavar="SECONDS",
        convert=values.whole,
    )
    pull: str = option(
        "--pull",
        help="fetch the image: missing, always or never",
        default="missing",
        metavar="WHEN",
        choices=("missing", "always", "never"),
    )
    platform: str = option("--platform", help="os/arch of the image to fetch", metavar="PLATFORM")
    image: str = positional("the image to make it from", complete="image")
    command: tuple[str, ...] = rest(
        "command and arguments instead of the image's", metavar="COMMAND"
    )


class Run(Create):
    """Options of `run`."""

    detach: bool = flag("-d", "--detach", help="leave it in the background, print its ID")
    rm: bool = flag("--rm", help="remove it when it ends")
    dry_run: bool = flag("--dry-run", help="print the steps, do nothing")
    detach_keys: str = option("--detach-keys", help="keys that leave the terminal", metavar="KEYS")


class Named(Args):
    """One or several containers."""

    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


class Stop(Args):
    """Options of `stop` and `restart`."""

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
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="stopped"
    )


class Attach(Args):
    """Options of `attach`."""

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
    workdir: str = option("-w", "--workdir", help="working directory inside", metavar="PATH")
    user: str = option(
        "-u", "--user", help="user and group, names or numbers", metavar="USER[:GROUP]"
    )
    privileged: bool = flag("--privileged", help="with all capabilities")
    detach_keys: str = option("--detach-keys", help="keys that leave the terminal", metavar="KEYS")
    container: str = positional("name or ID", complete="running")
    command: tuple[str, ...] = rest("command and its arguments", metavar="COMMAND")


class Remove(Args):
    """Options of `rm`."""

    force: bool = flag("-f", "--force", help="kill it first if it runs")
    volumes: bool = flag("-v", "--volumes", help="its anonymous volumes too (always so here)")
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


class Ps(Listing):
    """Options of `ps`."""

    all: bool = flag("-a", "--all", help="those that do not run, too")
    no_trunc: bool = flag("--no-trunc", help="whole IDs and commands")
    last: int = option(
        "-n",
        "--last",
        help="the newest N, in any state",
        default=0,
        metavar="N",
        convert=values.whole,
    )
    latest: bool = flag("-l", "--latest", help="the newest, in any state")
    filter: tuple[str, ...] = option(
        "-f", "--filter", help="name=, id=, image=, status=, label=", many=True, metavar="KEY=VALUE"
    )


class Logs(Args):
    """Options of `logs`."""

    follow: bool = flag("-f", "--follow", help="wait for more")
    tail: int = option(
        "-n", "--tail", help="only the last N lines", default=-1, metavar="N", convert=values.tail
    )
    since: float = option(
        "--since",
        help="only from then on: 10m, or a date",
        default=0.0,
        metavar="WHEN",
        convert=values.moment,
    )
    timestamps: bool = flag("-t", "--timestamps", help="with the time of each line")
    container: str = positional("name or ID", complete="container")


class Inspect(Args):
    """Options of `container inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    containers: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="CONTAINER", complete="container"
    )


class Rename(Args):
    """Arguments of `rename`."""

    container: str = positional("name or ID", complete="container")
    name: str = positional("the new name", metavar="NEW-NAME", convert=values.container_name)


class PortArgs(Args):
    """Arguments of `port`."""

    container: str = positional("name or ID", complete="running")


class Stats(Listing):
    """Options of `stats`."""

    containers: tuple[str, ...] = positional(
        "names or IDs; none: all that run",
        default=(),
        many=True,
        metavar="CONTAINER",
        complete="running",
    )


@verb(
    "container run",
    Run,
    "Make a container of an image and start it",
    "run",
    examples=("run -it --rm alpine", "run -d --name web -p 8080:80 nginx"),
)
def run(engine: Engine, args: Run) -> Result:
    """Pull the image when needed, create, start, and stay unless detached."""
    options = _options(engine, args, auto_remove=args.rm)
    if args.dry_run:
        return Text("\n".join(engine.lifecycle.dry_run(options)))
    _ensure_image(engine, args)
    if args.detach:
        container = engine.lifecycle.create(options)
        engine.lifecycle.start(container)
        return Text(container)
    return _foreground(
        engine, "run " + args.image, args.detach_keys, lambda: engine.lifecycle.run(options)
    )


@verb("container create", Create, "Make a container without starting it", "create")
def create(engine: Engine, args: Create) -> Result:
    """Pull the image when needed and create."""
    options = _options(engine, args)
    _ensure_image(engine, args)
    return Text(engine.lifecycle.create(options))


@verb("container start", Start, "Start stopped containers", "start")
def start(engine: Engine, args: Start) -> Result:
    """Start each; with -a or -i one, in the foreground."""
    if args.attach or args.interactive:
        reference = args.containers[0]
        return _foreground(
            engine,
            f"start {reference}",
            args.detach_keys,
            lambda: engine.lifecycle.start_attached(reference, stdin=args.interactive),
        )
    return _each(args.containers, engine.lifecycle.start)


@verb("container stop", Stop, "Stop running containers", "stop")
def stop(engine: Engine, args: Stop) -> Result:
    """Send the stop signal, and SIGKILL when the time is over."""
    return _each(args.containers, lambda name: engine.lifecycle.stop(name, args.time))


@verb("container restart", Stop, "Stop and start containers", "restart")
def restart(engine: Engine, args: Stop) -> Result:
    """Stop each, whether it runs or not, then start it."""

    def again(name: str) -> None:
        engine.lifecycle.stop(name, args.time)
        engine.lifecycle.start(name)

    return _each(args.containers, again)


@verb("container kill", Kill, "Send a signal to running containers", "kill")
def kill(engine: Engine, args: Kill) -> Result:
    """Send the signal to each container's first process."""
    return _each(args.containers, lambda name: engine.lifecycle.kill(name, args.signal))


@verb("container pause", Named, "Freeze all processes of containers", "pause")
def pause(engine: Engine, args: Named) -> Result:
    """Freeze each."""
    return _each(args.containers, engine.lifecycle.pause)


@verb("container unpause", Named, "Let frozen containers go on", "unpause")
def unpause(engine: Engine, args: Named) -> Result:
    """Thaw each."""
    return _each(args.containers, engine.lifecycle.unpause)


@verb("container rm", Remove, "Remove containers and what they wrote", "rm")
def rm(engine: Engine, args: Remove) -> Result:
    """Plan the removal of each; nothing is removed if one of them cannot be."""
    found = [engine.lifecycle.resolve(name) for name in args.containers]
    engine.lifecycle.check_removable(found, force=args.force)
    lines = tuple(
        f"container {info.name} ({info.id[:12]}, {info.image}, {info.state})" for info in found
    )

    def apply() -> Result:
        return _each(args.containers, lambda name: engine.lifecycle.rm(name, force=args.force))

    return Plan(f"remove {len(found)} container{'s' * (len(found) != 1)}", lines, apply)


@verb("container ls", Ps, "List containers", "ps", "container list", "container ps", changes=False)
def ps(engine: Engine, args: Ps) -> Result:
    """List the running containers, or all."""
    found = engine.containers()
    if args.latest or args.last > 0:
        found = found[: args.last or 1]
    elif not args.all and not any(word.startswith("status=") for word in args.filter):
        found = [info for info in found if info.state in ("running", "paused", "stopping")]
    for word in args.filter:
        found = [info for info in found if values.container_filter(word)(info)]
    return Table(
        PS_COLUMNS,
        tuple(_row(info, args.no_trunc) for info in found),
        args.format,
        "ID" if args.quiet else "",
        full=args.no_trunc,
    )


@verb("container logs", Logs, "Show what containers wrote", "logs", changes=False)
def logs(engine: Engine, args: Logs) -> Result:
    """Stream the log."""
    engine.lifecycle.resolve(args.container)
    return Lines(
        engine.logs(
            args.container,
            follow=args.follow,
            since=args.since,
            tail=None if args.tail < 0 else args.tail,
            timestamps=args.timestamps,
        )
    )


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

    def start() -> Session:
        return engine.lifecycle.exec(
            args.container,
            args.command,
            tty=args.tty,
            stdin=args.interactive,
            env=tuple(filter(None, args.env)),
            workdir=args.workdir,
            user=args.user,
            privileged=args.privileged,
            detach=args.detach,
        )

    if args.detach:
        start()
        return Text("")
    return _foreground(engine, f"exec {args.container}", args.detach_keys, start)


@verb("container attach", Attach, "Join a container's terminal or output", "attach")
def attach(engine: Engine, args: Attach) -> Result:
    """Attach to the first process's stdin, stdout and stderr."""
    return _foreground(
        engine,
        f"attach {args.container}",
        args.detach_keys,
        lambda: engine.lifecycle.attach(args.container),
    )


@verb(
    "container wait",
    Named,
    "Wait until containers end, print their exit codes",
    "wait",
    changes=False,
)
def wait(engine: Engine, args: Named) -> Result:
    """Wait for each in turn."""
    return Text("\n".join(str(engine.lifecycle.wait(name)) for name in args.containers))


@verb("container rename", Rename, "Give a container another name", "rename")
def rename(engine: Engine, args: Rename) -> Result:
    """Rename it."""
    engine.lifecycle.rename(args.container, args.name)
    return Text(args.name)


@verb("container inspect", Inspect, "Show everything about containers as JSON", changes=False)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Show docker's document for each."""
    return Document([engine.lifecycle.inspect(name) for name in args.containers], args.format)


@verb("container port", PortArgs, "List a container's published ports", "port", changes=False)
def port(engine: Engine, args: PortArgs) -> Result:
    """One line a port, as docker writes it."""
    info = engine.lifecycle.resolve(args.container)
    return Text(
        "\n".join(
            f"{p.container_port}/{p.protocol} -> {p.host_ip}:{p.host_port}" for p in info.ports
        )
    )


@verb("container stats", Stats, "Show what running containers use, once", "stats", changes=False)
def stats(engine: Engine, args: Stats) -> Result:
    """Measure processor time over half a second, and memory and processes at its end."""
    import time

    names = set(args.containers)
    found = [
        info
        for info in engine.containers()
        if info.state == "running" and (not names or info.name in names or info.id[:12] in names)
    ]
    before = {info.id: engine.usage(info.id) for info in found}
    started = time.monotonic_ns()
    time.sleep(0.5)
    elapsed = time.monotonic_ns() - started
    rows: list[dict[str, Any]] = []
    for info in found:
        first, now = before[info.id], engine.usage(info.id)
        if first and now:
            rows.append(
                {
                    "ID": info.id,
                    "Name": info.name,
                    "PIDs": now.pids,
                    "CPUPerc": f"{(now.cpu_ns - first.cpu_ns) / elapsed * 100:.2f}%",
                    "MemUsage": now.memory_bytes,
                    "MemLimit": now.memory_limit_bytes or "",
                }
            )
    return Table(STATS_COLUMNS, tuple(rows), args.format, "ID" if args.quiet else "")


PS_COLUMNS = (
    Column("ID", "CONTAINER ID", "id"),
    Column("Image", "IMAGE"),
    Column("Command", "COMMAND"),
    Column("CreatedAt", "CREATED", "age"),
    Column("Status", "STATUS"),
    Column("Ports", "PORTS"),
    Column("Names", "NAMES"),
)
STATS_COLUMNS = (
    Column("ID", "CONTAINER ID", "id"),
    Column("Name", "NAME"),
    Column("CPUPerc", "CPU %"),
    Column("MemUsage", "MEM USAGE", "size"),
    Column("MemLimit", "LIMIT", "size"),
    Column("PIDs", "PIDS"),
)


def _row(info: ContainerInfo, whole: bool) -> dict[str, Any]:
    command = " ".join(info.command)
    return {
        "ID": info.id,
        "Image": info.image,
        "Command": f'"{command if whole or len(command) <= 20 else command[:19] + "…"}"',
        "CreatedAt": info.created,
        "Status": status(info),
        "Ports": ", ".join(port_text(p) for p in info.ports),
        "Names": info.name,
        "State": info.state,
        "Labels": ",".join(f"{key}={value}" for key, value in info.labels),
        "Networks": ",".join(info.networks),
        "ExitCode": info.exit_code,
        "Address": info.address,
    }


def status(info: ContainerInfo) -> str:
    """Return docker's words for a container's state: `Up 3 minutes`, `Exited (1) 2 hours ago`."""
    from core.commands.show import ago, span

    if info.state in ("running", "stopping"):
        return f"Up {span(info.started)}"
    if info.state == "paused":
        return f"Up {span(info.started)} (Paused)"
    if info.state == "exited":
        reason = ", out of memory" if info.oom_killed else ""
        return f"Exited ({info.exit_code}{reason}) {ago(info.finished)}"
    return info.state.capitalize()


def port_text(port: Port) -> str:
    """Return docker's arrow: `0.0.0.0:8080->80/tcp`."""
    return f"{port.host_ip}:{port.host_port}->{port.container_port}/{port.protocol}"


def _each(names: tuple[str, ...], act: Callable[[str], Any]) -> Result:
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


def _foreground(engine: Engine, title: str, keys: str, start: Callable[[], Session]) -> Foreground:
    def relay(stdin: int, stdout: int, stderr: int) -> int:
        with start() as session:
            return session.relay(
                stdin, stdout, stderr, keys or engine.config["container", "detach_keys"]
            )

    return Foreground(title, relay)


def _ensure_image(engine: Engine, args: Create) -> None:
    from core.errors import NotFound

    if args.pull != "always":
        try:
            engine.store.resolve(args.image)
            return
        except NotFound:
            if args.pull == "never":
                raise
    engine.pull(args.image, args.platform).result()


def _options(engine: Engine, args: Create, *, auto_remove: bool = False) -> ContainerOptions:
    security = dict(args.security_opt)
    return ContainerOptions(
        image=args.image,
        command=args.command,
        entrypoint=None if args.entrypoint is None else tuple(filter(None, (args.entrypoint,))),
        name=args.name,
        hostname=args.hostname,
        env=(*values.env_files(args.env_file), *filter(None, args.env)),
        workdir=args.workdir,
        user=args.user,
        mounts=args.volume,
        network=args.network or engine.config["container", "network"],
        publish=tuple(port for ports in args.publish for port in ports),
        memory_bytes=args.memory,
        cpus=args.cpus,
        pids_limit=args.pids_limit,
        tty=args.tty,
        stdin_open=args.interactive,
        auto_remove=auto_remove,
        read_only=args.read_only,
        privileged=args.privileged,
        cap_add=args.cap_add,
        cap_drop=args.cap_drop,
        no_new_privileges="no-new-privileges" in security,
        seccomp=security.get("seccomp", ""),
        labels=args.label,
        stop_signal=args.stop_signal,
        stop_timeout_s=args.stop_timeout,
    )
