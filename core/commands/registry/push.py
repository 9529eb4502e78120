"""The verb that brings images into registries."""

from __future__ import annotations

from core.commands.grammar import Args, flag, option, positional, verb
from core.commands.result import Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.registry.push import Pushed


class Push(Args):
    """Arguments of `push`."""

    quiet: bool = flag("-q", "--quiet", help="print only the digest")
    all_platforms: bool = flag(
        "--all-platforms", help="the whole index that was pulled with --all-platforms"
    )
    index: str = option(
        "--index", help="push the images under this one name, an entry a platform",
        metavar="NAME[:TAG]",
    )  # fmt: skip
    images: tuple[str, ...] = positional(
        "what to push: IMAGE to its own name, or IMAGE NAME[:TAG] to another", many=True,
        metavar="IMAGE", complete="image",
    )  # fmt: skip


@verb(
    "image push",
    Push,
    "Bring an image into a registry",
    "push",
    examples=(
        "push localhost:5000/team/app:1.2",
        "push app localhost:5000/team/app:1.2",
        "push --all-platforms alpine:3.22 localhost:5000/alpine:3.22",
        "push --index localhost:5000/team/app:1.2 app:amd64 app:arm64",
    ),
)
def push(engine: Engine, args: Push) -> Result:
    """Start the job."""
    from core.errors import UsageError

    sources, target = args.images, args.index
    if not target:
        if len(sources) > 2:
            raise UsageError("push takes an image and a name", hint="push IMAGE NAME[:TAG]")
        sources, target = args.images[:1], args.images[-1]

    def show(pushed: Pushed) -> Result:
        words = f"{pushed.name}: digest: {pushed.digest} size: {pushed.size}"
        return Text(pushed.digest if args.quiet else words)

    if args.all_platforms and args.index:
        raise UsageError(
            "--all-platforms pushes the index that is there, --index makes one",
            hint="leave one out",
        )
    job = engine.images.push(sources, target, all_platforms=args.all_platforms)
    return Running(job, show, args.quiet)
