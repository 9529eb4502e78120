"""The verbs that make containers: `run` and `create`, with docker's options."""

from __future__ import annotations

from core.commands import values
from core.commands.foreground import foreground
from core.commands.grammar import Args, flag, option, positional, rest, verb
from core.commands.result import Result, Text
from core.containers.options import ContainerOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.options import Mount
    from core.engine import Engine
    from core.model import Port


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
    restart: str = option(
        "--restart",
        help="start it again when it ends: no, always, unless-stopped, on-failure[:N]",
        metavar="POLICY",
        choices=("no", "always", "unless-stopped", "on-failure"),
        convert=values.restart_policy,
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


@verb(
    "container run",
    Run,
    "Make a container of an image and start it",
    "run",
    starts="monitor",
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
    return foreground(
        engine, "run " + args.image, args.detach_keys, lambda: engine.lifecycle.run(options)
    )


@verb("container create", Create, "Make a container without starting it", "create")
def create(engine: Engine, args: Create) -> Result:
    """Pull the image when needed and create."""
    options = _options(engine, args)
    _ensure_image(engine, args)
    return Text(engine.lifecycle.create(options))


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
        restart=args.restart,
    )
