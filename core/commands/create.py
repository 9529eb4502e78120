"""The verbs that make containers: `run` and `create`."""

from __future__ import annotations

from core.commands.create_options import (
    Create,
    container_options,
    reserve_cidfile,
    write_cidfile,
)
from core.commands.foreground import foreground
from core.commands.grammar import flag, option, verb
from core.commands.result import Result, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.configuration.options import ContainerOptions
    from core.engine import Engine


class Run(Create):
    """Options of `run`."""

    detach: bool = flag("-d", "--detach", help="leave it in the background, print its ID")
    attach: tuple[str, ...] = option(
        "-a", "--attach", help="only these of stdin, stdout, stderr", many=True, metavar="STREAM",
        choices=("stdin", "stdout", "stderr"),
    )  # fmt: skip
    rm: bool = flag("--rm", help="remove it when it ends")
    dry_run: bool = flag("--dry-run", help="print the steps, do nothing")
    detach_keys: str = option("--detach-keys", help="keys that leave the terminal", metavar="KEYS")
    sig_proxy: bool = flag(
        "--sig-proxy", help="pass signals on; =false: end only here", default=True
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
    options = container_options(engine, args, auto_remove=args.rm)
    if args.dry_run:
        return Text("\n".join(engine.containers.dry_run(options)))
    options = options.replace(image=_ensure_image(engine, args))
    if args.detach:
        container = _create(engine, args, options)
        engine.containers.start(container)
        return Text(container)
    if not args.cidfile:
        return foreground(
            engine, "run " + args.image, args.detach_keys,
            lambda: engine.containers.run(options), proxy=args.sig_proxy,
            streams=args.attach,
        )  # fmt: skip
    container = _create(engine, args, options)
    return foreground(
        engine, "run " + args.image, args.detach_keys,
        lambda: engine.containers.start_attached(container, stdin=True), proxy=args.sig_proxy,
            streams=args.attach,
    )  # fmt: skip


@verb("container create", Create, "Make a container without starting it", "create")
def create(engine: Engine, args: Create) -> Result:
    """Pull the image when needed and create."""
    options = container_options(engine, args)
    options = options.replace(image=_ensure_image(engine, args))
    return Text(_create(engine, args, options))


def _create(engine: Engine, args: Create, options: ContainerOptions) -> str:
    if not args.cidfile:
        return engine.containers.create(options)
    reserve_cidfile(args.cidfile)
    container = ""
    try:
        container = engine.containers.create(options)
    finally:
        write_cidfile(args.cidfile, container)
    return container


def _ensure_image(engine: Engine, args: Create) -> str:
    """Pull the image when needed; returns what it is called, on the platform asked for."""
    from core.errors import NotFound

    if args.pull != "always":
        try:
            return _name_for_platform(engine, args)
        except NotFound:
            if args.pull == "never":
                raise
    engine.images.pull(args.image, args.platform).result()
    return _name_for_platform(engine, args)


def _name_for_platform(engine: Engine, args: Create) -> str:
    found = engine.store.resolve(args.image, args.platform)
    if not args.platform or engine.store.resolve(args.image).digest == found.digest:
        return args.image
    return next((tag for tag in found.tags if "@" in tag), found.digest)
