"""The verbs that bring images to other hosts without a registry."""

from __future__ import annotations

from core.commands.grammar import Args, option, positional, verb
from core.commands.result import Foreground, Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.images.archive.send import Sent


class Send(Args):
    """Options of `image send`."""

    ssh_option: tuple[str, ...] = option(
        "-o", "--ssh-option", help="an option of ssh -o, such as Port=2222", many=True,
        metavar="OPTION",
    )  # fmt: skip
    limpet: str = option(
        "--limpet", help="what limpet is called there, sudo limpet for example",
        default="limpet", metavar="COMMAND",
    )  # fmt: skip
    words: tuple[str, ...] = positional(
        "images, and the host: IMAGE… [USER@]HOST", many=True, metavar="IMAGE", complete="image"
    )


class Receive(Args):
    """`image receive` takes no arguments."""


class Bundle(Args):
    """Options of `image bundle`."""

    since: tuple[str, ...] = option(
        "--since", help="leave out the layers of this image, which the other host has", many=True,
        metavar="IMAGE", complete="image",
    )  # fmt: skip
    output: str = option(
        "-o", "--output", help="a file instead of stdout", metavar="FILE", complete="path",
        writes=True,
    )  # fmt: skip
    images: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="IMAGE", complete="image"
    )


@verb(
    "image send",
    Send,
    "Bring images to another host over ssh, without the layers it has",
    examples=("image send app:2 me@server", "image send app:2 db:16 server --limpet 'sudo limpet'"),
)
def send(engine: Engine, args: Send) -> Result:
    """Start the job; the other host needs limpet."""
    from core.commands.show import size
    from core.errors import UsageError

    *images, host = args.words
    if not images:
        raise UsageError("image send takes images and a host", hint="image send IMAGE USER@HOST")

    def show(sent: Sent) -> Result:
        lines = [f"{sent.host} has {name}" for name in sent.names]
        return Text("\n".join([*lines, f"{size(sent.sent)} sent, {size(sent.spared)} were there"]))

    return Running(engine.archives.send(images, host, args.ssh_option, args.limpet), show)


@verb(
    "image receive", Receive, "Take images from the limpet of another host (image send starts it)"
)
def receive(engine: Engine, args: Receive) -> Result:
    """Speak with it through stdin and stdout."""
    import os

    from core.errors import UsageError

    def relay(stdin: int, stdout: int, _stderr: int) -> int:
        if os.isatty(stdin):
            raise UsageError(
                "image receive: images do not come from a terminal",
                hint="image send IMAGE USER@HOST, said on the other host, starts this",
            )
        for line in engine.archives.receive(stdin):
            os.write(stdout, line)
        return 0

    return Foreground("image receive", relay)


@verb(
    "image bundle",
    Bundle,
    "Write images into an archive for an offline host, without the layers it has",
    changes=False,
    examples=("image bundle app:2 --since app:1 -o update.tar", "load -i update.tar"),
)
def bundle(engine: Engine, args: Bundle) -> Result:
    """Write an OCI archive; `load` reads it where the layers left out are."""
    from core.commands.transfer import write_out

    write = engine.archives.save(args.images, "oci-archive", args.since)
    return write_out(engine, f"image bundle {' '.join(args.images)}", args.output, write)
