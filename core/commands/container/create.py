"""The verbs that make containers: `run` and `create`."""

from __future__ import annotations

from core.commands.foreground import foreground
from core.commands.grammar import flag, option, verb
from core.commands.options.create_options import (
    Create,
    container_options,
    reserve_cidfile,
    write_cidfile,
)
from core.commands.result import Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.containers.attach.session import Session
    from core.containers.configuration.options import ContainerOptions
    from core.engine import Engine


class Run(Create):
    """Options of `run`."""

    detach: bool = flag("-d", "--detach", help="leave it in the background, print its ID")
    attach: tuple[str, ...] = option(
        "-a", "--attach", help="only these of stdin, stdout, stderr", many=True, metavar="STREAM",
        choices=("stdin", "stdout", "stderr"),
    )  # fmt: skip
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
    options = container_options(engine, args)
    if args.dry_run:
        return Text("\n".join(engine.containers.dry_run(options)))

    def start(image: str) -> Result:
        wanted = options.replace(image=image)
        if args.detach:
            container = _create(engine, args, wanted)
            engine.containers.start(container)
            return Text(container)
        if not args.cidfile:
            return relay(lambda: engine.containers.run(wanted))
        container = _create(engine, args, wanted)
        return relay(lambda: engine.containers.start_attached(container, stdin=True))

    def relay(begin: Callable[[], Session]) -> Result:
        title, proxy = "run " + args.image, args.sig_proxy
        return foreground(engine, title, args.detach_keys, begin, proxy=proxy, streams=args.attach)

    return _with_image(engine, args, start)


@verb("container create", Create, "Make a container without starting it", "create")
def create(engine: Engine, args: Create) -> Result:
    """Pull the image when needed and create."""
    options = container_options(engine, args)
    return _with_image(
        engine, args, lambda image: Text(_create(engine, args, options.replace(image=image)))
    )


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


def _with_image(engine: Engine, args: Create, go_on: Callable[[str], Result]) -> Result:
    """Go on with what the image is called on the platform asked for; pull it first when needed."""
    from core.errors import NotFound

    if args.pull != "always":
        try:
            name = _name_for_platform(engine, args)
        except NotFound:
            if args.pull == "never":
                raise
        else:
            return go_on(name)
    return Running(
        engine.images.pull(args.image, args.platform),
        lambda _: go_on(_name_for_platform(engine, args)),
        args.quiet,
    )


def _name_for_platform(engine: Engine, args: Create) -> str:
    found = engine.store.resolve(args.image, args.platform)
    if not args.platform or engine.store.resolve(args.image).digest == found.digest:
        return args.image
    return next((tag for tag in found.tags if "@" in tag), found.digest)
