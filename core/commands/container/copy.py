"""The verb `cp`: files into containers, out of them, and between them."""

from __future__ import annotations

import os

from core.commands.grammar import Args, flag, positional, verb
from core.commands.result import Foreground, Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.copy.copying import Copied, Copying, Place
    from core.engine import Engine
    from core.jobs import Job


class Copy(Args):
    """Options of `cp`."""

    archive: bool = flag("-a", "--archive", help="owners, set-ID bits and capabilities stay")
    follow_link: bool = flag("-L", "--follow-link", help="what the source links to, not the link")
    quiet: bool = flag("-q", "--quiet", help="say nothing")
    source: str = positional(
        "CONTAINER:PATH, a path here, or - for a tar on stdin",
        metavar="SOURCE",
        complete="copy-end",
    )
    target: str = positional(
        "CONTAINER:PATH, a path here, or - for a tar on stdout",
        metavar="TARGET",
        complete="copy-end",
    )


@verb(
    "container cp",
    Copy,
    "Copy files into a container, out of it, or between two",
    "cp",
    examples=("cp web:/etc/nginx ./nginx", "cp site/. web:/srv", "cp web:/var/log - | tar t"),
)
def cp(engine: Engine, args: Copy) -> Result:
    """Start the job; with a tar on stdin or stdout take those instead."""
    source, target = place_of(args.source), place_of(args.target)
    if (args.source, args.target).count("-") == 1:
        return _through_tar(engine, args, source, target)
    if not (source.container or target.container):
        from core.errors import UsageError

        raise UsageError(
            "neither is a path of a container", hint="write CONTAINER:PATH, as in web:/etc/hosts"
        )
    title = f"cp {args.source} {args.target}"

    def work(job: Job) -> Copied:
        def progress(total: int) -> None:
            if not args.quiet:
                job.progress(args.target, total, 0, "copying")

        copying = engine.files.copying(job.check, progress)
        return copying.copy(source, target, archive=args.archive, follow=args.follow_link)

    def show(copied: Copied) -> Result:
        return Text("" if args.quiet else _told(copied, args.target))

    return Running(engine.jobs.start(title, work), show)


def place_of(word: str) -> Place:
    """Tell the two kinds of paths apart as docker does: `./a:b` and `/a:b` are the host's.

    A path of the host comes back absolute; a final slash, or `/.`, stays.
    """
    from core.containers.copy.copying import Place
    from core.errors import UsageError

    container, colon, path = word.partition(":")
    if colon and container and not word.startswith(("/", ".", "~/")):
        if "/" not in container:
            if not path:
                raise UsageError(f"{word!r} names no path", hint=f"{word}/ is all of it")
            return Place(container, path if path.startswith("/") else f"/{path}")
        raise UsageError(f"{container!r} is no container's name", hint=f"./{word} is a file here")
    if not word:
        raise UsageError("an empty path", hint=". is this directory")
    whole = os.path.abspath(os.path.expanduser(word))
    last = word.rpartition("/")[2]
    if last == ".":
        whole += "/."
    elif last == "" and whole != "/":
        whole += "/"
    return Place("", whole)


def _through_tar(engine: Engine, args: Copy, source: Place, target: Place) -> Result:
    copying: Copying = engine.files.copying()

    def relay(stdin: int, stdout: int, stderr: int) -> int:
        from core.errors import UsageError

        if args.target == "-":
            if os.isatty(stdout):
                raise UsageError(
                    "a tar is not for a terminal", hint=f"cp {args.source} - > FILE, or | tar t"
                )
            copying.pack(source, stdout, follow=args.follow_link)
            return 0
        if os.isatty(stdin):
            raise UsageError("a tar is expected on stdin", hint=f"tar c . | cp - {args.target}")
        copied = copying.unpack(lambda size: os.read(stdin, size), target)
        if not args.quiet:
            os.write(stderr, (_told(copied, args.target) + "\n").encode())
        return 0

    return Foreground(f"cp {args.source} {args.target}", relay)


def _told(copied: Copied, target: str) -> str:
    from core.commands.show import size

    left = f"; {copied.skipped} sockets or vanished files left out" if copied.skipped else ""
    return f"Successfully copied {size(copied.bytes)} to {target}{left}"
