"""The verbs that make an image or an archive of a container."""

from __future__ import annotations

from core.commands.grammar import Args, flag, option, positional, verb
from core.commands.result import Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.jobs import Job

COMPRESSIONS = ("gzip", "zstd", "none")


class Commit(Args):
    """Options of `commit`."""

    author: str = option("-a", "--author", help="who made it", metavar="AUTHOR")
    change: tuple[str, ...] = option(
        "-c", "--change", help="a Dockerfile instruction: CMD, ENV, EXPOSE, LABEL, USER, …",
        many=True, metavar="INSTRUCTION",
    )  # fmt: skip
    message: str = option("-m", "--message", help="words for the history", metavar="TEXT")
    pause: bool = flag(
        "-p", "--pause", help="freeze the container meanwhile; --pause=false lets it run",
        default=True,
    )  # fmt: skip
    compression: str = option(
        "--compression", help="of the new layer", default="gzip", choices=COMPRESSIONS,
        metavar="KIND",
    )  # fmt: skip
    container: str = positional("name or ID", complete="container")
    image: str = positional(
        "the image's name; none: only an ID", default="", metavar="NAME[:TAG]", complete="image"
    )


class Export(Args):
    """Options of `export`."""

    output: str = option(
        "-o", "--output", help="a file instead of stdout", metavar="FILE", complete="path",
        writes=True,
    )  # fmt: skip
    container: str = positional("name or ID", complete="container")


@verb(
    "container commit",
    Commit,
    "Make an image of a container and what it wrote",
    "commit",
    examples=("commit web app:fixed", """commit -c 'CMD ["sh"]' -m "with tools" web tools"""),
)
def commit(engine: Engine, args: Commit) -> Result:
    """Start the job."""
    from core.containers.files.commit import CommitOptions

    tags = (engine.reference(args.image).canonical,) if args.image else ()
    options = CommitOptions(
        tags, args.message, args.author, args.change, args.pause, args.compression
    )
    engine.containers.resolve(args.container)
    return Running(
        engine.images.commit(args.container, options), lambda info: Text(str(info.config_digest))
    )


@verb(
    "container export",
    Export,
    "Write a container's files as a tar",
    "export",
    changes=False,
    examples=("export -o web.tar web", "export web | tar t"),
)
def export(engine: Engine, args: Export) -> Result:
    """Write to the file, or to stdout."""
    from core.commands.transfer import write_out

    engine.containers.resolve(args.container)

    def write(fd: int, job: Job | None) -> None:
        engine.files.export(args.container, fd, job.check if job else lambda: None)

    return write_out(engine, f"export {args.container}", args.output, write)
