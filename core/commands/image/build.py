"""The verbs that build images of Dockerfiles."""

from __future__ import annotations

from core.build.options import BuildOptions, Output, Secret
from core.commands.grammar import Args, Listing, Removing, flag, option, positional, rest, verb
from core.commands.options import values
from core.commands.result import Building, Column, Foreground, Plan, Result, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.build.options import Built
    from core.engine import Engine


def build_arg(word: str) -> tuple[str, str] | None:
    """Parse NAME=VALUE, or NAME to take the value from here; None when it is not set."""
    import os

    name, equals, value = word.partition("=")
    if not name:
        raise ValueError(f"{word!r} is not NAME=VALUE")
    if equals:
        return name, value
    return (name, os.environ[name]) if name in os.environ else None


def secret(word: str) -> Secret:
    """Parse id=NAME[,src=FILE|,env=VARIABLE]."""
    given = _fields(word, {"source": "src", "type": "type"}, ("id", "src", "env", "type"))
    if not given.get("id"):
        raise ValueError(f"{word!r} is not id=NAME,src=FILE or id=NAME,env=VARIABLE")
    env = given.get("env", "")
    if given.get("type") == "env" and not env:
        env = given.get("src") or given["id"]
    return Secret(given["id"], "" if env else given.get("src") or given["id"], env)


def output(word: str) -> Output:
    """Parse type=docker|oci|tar|local,dest=PATH, or a directory; `-` is a tar on stdout."""
    if word == "-":
        return Output("tar", "-")
    if "=" not in word:
        return Output("local", word)
    given = _fields(word, {"destination": "dest"}, ("type", "dest"))
    kind = given.get("type", "")
    if kind not in ("docker", "oci", "tar", "local"):
        raise ValueError(f"type={kind} is none of docker, oci, tar, local")
    place = given.get("dest", "" if kind == "local" else "-")
    if not place:
        raise ValueError("type=local needs dest=DIRECTORY")
    return Output(kind, place)


def _fields(word: str, same: dict[str, str], known: tuple[str, ...]) -> dict[str, str]:
    given = {}
    for part in word.split(","):
        name, equals, value = part.partition("=")
        name = same.get(name, name)
        if not equals or name not in known:
            raise ValueError(f"{part!r} is none of {', '.join(f'{name}=' for name in known)}")
        given[name] = value
    return given


def timestamp(word: str) -> int:
    """Parse seconds since the epoch."""
    if not word.isdecimal():
        raise ValueError(f"{word!r} is not a number of seconds since 1970")
    return int(word)


class Build(Args):
    """Options of `build`."""

    tag: tuple[str, ...] = option(
        "-t", "--tag", help="a name for the image", many=True, metavar="NAME[:TAG]"
    )
    file: str = option(
        "-f", "--file", help="the Dockerfile; -: on stdin", metavar="FILE", complete="path"
    )
    target: str = option("--target", help="build up to this stage", metavar="STAGE")
    build_arg: tuple[tuple[str, str] | None, ...] = option(
        "--build-arg", help="a value for an ARG; NAME alone takes it from here", many=True,
        metavar="NAME=VALUE", convert=build_arg,
    )  # fmt: skip
    platform: str = option("--platform", help="os/arch to build for", metavar="PLATFORM")
    no_cache: bool = flag("--no-cache", help="do every step anew")
    cache_from: tuple[str, ...] = option(
        "--cache-from", help="an image built elsewhere whose steps serve as a cache", many=True,
        metavar="IMAGE", complete="image",
    )  # fmt: skip
    pull: bool = flag("--pull", help="fetch base images even if they are here")
    secret: tuple[Secret, ...] = option(
        "--secret", help="for RUN --mount=type=secret", many=True,
        metavar="id=NAME,src=FILE", convert=secret,
    )  # fmt: skip
    ssh: tuple[str, ...] = option("--ssh", help="not supported", many=True, metavar="SOCKET")
    label: tuple[tuple[str, str], ...] = option(
        "--label", help="NAME=VALUE", many=True, metavar="NAME=VALUE", convert=values.label
    )
    network: str = option(
        "--network", help="for RUN: none, host, bridge, or a network's name", metavar="NETWORK",
        complete="network",
    )  # fmt: skip
    progress: str = option(
        "--progress", help="auto, plain or json", default="auto", metavar="KIND",
        choices=("auto", "plain", "json", "tty"),
    )  # fmt: skip
    output: Output | None = option(
        "-o", "--output", help="write the result: type=docker|oci|tar|local,dest=PATH",
        default=None, metavar="OUTPUT", convert=output,
    )  # fmt: skip
    squash: bool = flag("--squash", help="make one layer of all that is new")
    timestamp: int | None = option(
        "--timestamp", help="seconds since 1970: no time in the image is later", default=None,
        metavar="SECONDS", convert=timestamp,
    )  # fmt: skip
    debug: bool = flag("--debug", help="keep what a RUN that fails leaves, for: debug")
    watch: bool = flag("--watch", help="build again whenever the context changes")
    iidfile: str = option("--iidfile", help="write the ID here", metavar="FILE", complete="path")
    quiet: bool = flag("-q", "--quiet", help="print only the ID")
    context: str = positional(
        "the directory to build from, a tar of one, or - for stdin", metavar="CONTEXT",
        complete="path",
    )  # fmt: skip


@verb(
    "image build",
    Build,
    "Build an image of a Dockerfile",
    "build",
    examples=(
        "build -t app .",
        "build -t app:1.2 --build-arg VERSION=1.2 --target release .",
        "build -f - . <Dockerfile",
        "build -o type=local,dest=out .",
    ),
)
def build(engine: Engine, args: Build) -> Result:
    """Start the job."""
    import os

    from core.errors import UsageError

    options = _options(engine, args)

    def show(built: Built) -> Result:
        if args.iidfile:
            with open(args.iidfile, "w") as file:
                file.write(built.config_digest)
        if args.quiet:
            return Text(built.config_digest)
        names = [f"Successfully tagged {engine.reference(tag).familiar}" for tag in built.tags]
        where = f"written to {built.exported}" if built.exported else ""
        image = f"Successfully built {built.config_digest[7:19]}" if built.config_digest else ""
        return Text("\n".join(line for line in (image, *names, where) if line))

    progress = "quiet" if args.quiet else args.progress
    job = engine.images.build(options)
    if not args.watch:
        return Building(
            job, show, progress=progress, debug=lambda: debug(engine, Debug(command=()))
        )
    from core.build.context.watch import Watch

    if not os.path.isdir(args.context):
        raise UsageError("--watch takes a directory as the context")
    watch = Watch(os.path.abspath(args.context), args.file or f"{args.context}/Dockerfile")

    def again(stopped: Callable[[], bool]) -> Building | None:
        changed = watch.wait(stopped)
        if not changed:
            return None
        job = engine.images.build(options)
        job.say(f"changed: {', '.join(changed[:5])}")
        return Building(job, show, progress=progress, again=again)

    return Building(job, show, progress=progress, again=again)


class Debug(Args):
    """Options of `debug`."""

    command: tuple[str, ...] = rest("command instead of the shell", metavar="COMMAND")


@verb(
    "build debug",
    Debug,
    "Open a shell, or run a command, where the RUN of a build failed",
    "debug",
)
def debug(engine: Engine, args: Debug) -> Result:
    """Open it upon what build --debug, or a build on a terminal, has kept."""
    import sys

    from core.build.run.failed import enter

    def say(text: str) -> None:
        sys.stderr.write(text)

    return Foreground("debug", enter(engine, say, args.command))


def _options(engine: Engine, args: Build) -> BuildOptions:
    import os

    from core.errors import NotSupported, UsageError

    if args.ssh:
        raise NotSupported(
            "forwarding an SSH agent into a build is not supported",
            hint="give a key as a secret: --secret id=key,src=FILE, RUN --mount=type=secret,id=key",
        )
    if "," in args.platform:
        raise UsageError(
            "one build is for one platform",
            hint="build each under its own name, then: push --index NAME IMAGE IMAGE",
        )
    given = [pair for pair in args.build_arg if pair is not None]
    moment = args.timestamp
    epoch = dict(given).get("SOURCE_DATE_EPOCH") or os.environ.get("SOURCE_DATE_EPOCH", "")
    if moment is None and epoch:
        if not epoch.isdecimal():
            raise UsageError(f"SOURCE_DATE_EPOCH={epoch} is not a number of seconds since 1970")
        moment = int(epoch)
        if "SOURCE_DATE_EPOCH" not in dict(given):
            given.append(("SOURCE_DATE_EPOCH", epoch))
    return BuildOptions(
        context=args.context, file=args.file,
        tags=tuple(engine.reference(tag).canonical for tag in args.tag),
        target=args.target, args=tuple(given), platform=args.platform, no_cache=args.no_cache,
        cache_from=args.cache_from, pull=args.pull, secrets=args.secret, labels=args.label,
        network=args.network, output=args.output, squash=args.squash, timestamp=moment,
        keep_failed=args.debug or (os.isatty(0) and os.isatty(2)),
    )  # fmt: skip


class Prune(Removing):
    """Options of `build prune`."""

    all: bool = flag("-a", "--all", help="also what images hold, and the mounts of RUN")
    until: float = option(
        "--until", help="only what was not used since: 24h, 2024-05-01", default=0.0,
        metavar="TIME", convert=values.moment,
    )  # fmt: skip
    force: bool = flag("-f", "--force", "-y", "--yes", help="do not ask")


@verb(
    "build prune",
    Prune,
    "Remove results of build steps that no image holds",
    "builder prune",
    examples=("build prune", "build prune -a --until 72h"),
)
def prune(engine: Engine, args: Prune) -> Result:
    """Plan it: a line a step."""
    from core.build.context.files import forget_digests
    from core.build.prune import choose, entries, remove
    from core.build.run.failed import forget
    from core.commands.show import ago, size

    found = entries(engine.store, engine.paths)
    going = choose(found, everything=args.all, before=args.until)
    if not going:
        return Text("Total reclaimed space: 0B")
    total = sum(entry.bytes for entry in going if not entry.shared)
    lines = tuple(
        f"{entry.kind} {entry.words[:70]}, {size(entry.bytes)}, used {ago(entry.used)}"
        + (" (images hold its layer)" if entry.shared else "")
        for entry in going
    )

    def apply() -> Result:
        forget(engine.paths)
        if args.all:
            forget_digests(engine.paths)
        return Text(f"Total reclaimed space: {size(remove(engine.store, going))}")

    title = f"remove {len(going)} from the build cache"
    return Plan(title, lines, apply, total, ask=not args.force).unless(args.dry_run)


@verb(
    "build cache",
    Listing,
    "List what build steps came to, and the mounts of RUN",
    "builder du",
    changes=False,
)
def cache(engine: Engine, args: Listing) -> Result:
    """List it, last used first."""
    from core.build.prune import entries

    rows = tuple(
        {
            "ID": entry.name, "Kind": entry.kind, "Description": entry.words[:60],
            "Size": entry.bytes, "Shared": "yes" if entry.shared else "no",
            "CreatedSince": entry.created, "LastUsedSince": entry.used,
        }
        for entry in entries(engine.store, engine.paths)
    )  # fmt: skip
    columns = (
        Column("ID", "ID", "id"), Column("Kind", "KIND"), Column("Description", "DESCRIPTION"),
        Column("Size", "SIZE", "size"), Column("Shared", "SHARED"),
        Column("LastUsedSince", "LAST USED", "age"),
    )  # fmt: skip
    return Table(columns, rows, args.format, "ID" if args.quiet else "")
