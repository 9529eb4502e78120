"""The verbs that bring images out of the store into archives, and back."""

from __future__ import annotations

from core.commands.grammar import Args, flag, option, positional, verb
from core.commands.result import Foreground, Result, Running, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.engine import Engine
    from core.images.archive.load import Loaded
    from core.jobs import Job


class Save(Args):
    """Options of `save`."""

    output: str = option(
        "-o", "--output", help="a file, or oci-dir's directory, instead of stdout", metavar="FILE",
        complete="path", writes=True,
    )  # fmt: skip
    form: str = option(
        "--format", default="docker-archive", metavar="FORM",
        help="docker-archive, which is an OCI layout at once, oci-archive or oci-dir",
        choices=("docker-archive", "oci-archive", "oci-dir"),
    )  # fmt: skip
    all_platforms: bool = flag(
        "--all-platforms", help="with the whole index that was pulled with --all-platforms"
    )
    images: tuple[str, ...] = positional(
        "names or IDs", many=True, metavar="IMAGE", complete="image"
    )


class Load(Args):
    """Options of `load`."""

    input: str = option(
        "-i", "--input", help="a file or a layout's directory instead of stdin", metavar="FILE",
        complete="path",
    )  # fmt: skip
    quiet: bool = flag("-q", "--quiet", help="print only digests")


class Import(Args):
    """Options of `import`."""

    change: tuple[str, ...] = option(
        "-c", "--change", help="a Dockerfile instruction: CMD, ENV, EXPOSE, LABEL, USER, …",
        many=True, metavar="INSTRUCTION",
    )  # fmt: skip
    message: str = option("-m", "--message", help="words for the history", metavar="TEXT")
    platform: str = option("--platform", help="os/arch[/variant]", metavar="PLATFORM")
    source: str = positional(
        "a tar of files, compressed or not; - for stdin", metavar="FILE", complete="path"
    )
    image: str = positional("the image's name", default="", metavar="NAME[:TAG]", complete="image")


@verb(
    "image save",
    Save,
    "Write images into an archive that docker, podman and skopeo read",
    "save",
    changes=False,
    examples=("save -o images.tar web db:16", "save web | zstd > web.tar.zst"),
)
def save(engine: Engine, args: Save) -> Result:
    """Write to the file, the directory, or stdout."""
    from core.commands.transfer import guarded, write_out
    from core.errors import UsageError

    write = engine.archives.save(args.images, args.form, all_platforms=args.all_platforms)
    title = f"save {' '.join(args.images)}"
    if args.form == "oci-dir":
        if args.output in ("", "-"):
            raise UsageError("oci-dir is a directory", hint="-o DIRECTORY says which")
        output = args.output
        job = engine.jobs.start(title, lambda job: guarded(output, lambda: write(output, job)))
        return Running(job, lambda _: Text(""))
    return write_out(engine, title, args.output, write)


@verb(
    "image load",
    Load,
    "Bring images out of an archive or an OCI layout into the store",
    "load",
    examples=("load -i images.tar.zst", "load < images.tar"),
)
def load(engine: Engine, args: Load) -> Result:
    """Start the job; from stdin it stays in the foreground."""

    def show(found: list[Loaded]) -> Result:
        lines = []
        for loaded in found:
            names = [] if args.quiet else [
                engine.reference(name).familiar for name in loaded.names
            ]  # fmt: skip
            lines += [f"Loaded image: {name}" for name in names]
            if args.quiet:
                lines.append(loaded.image.digest)
            elif not names:
                lines.append(f"Loaded image ID: {loaded.image.config_digest}")
        return Text("\n".join(lines))

    if args.input not in ("", "-"):
        return Running(engine.archives.load(args.input), show)
    return _from_stdin("load", engine.archives.load, show)


@verb(
    "image import",
    Import,
    "Make an image of a tar of files",
    "import",
    examples=("import rootfs.tar.xz base:1", """import -c 'CMD ["sh"]' - web:flat < web.tar"""),
)
def import_(engine: Engine, args: Import) -> Result:
    """Start the job; from stdin it stays in the foreground."""
    from core.images.archive.importing import ImportOptions

    tags = (engine.reference(args.image).canonical,) if args.image else ()
    options = ImportOptions(tags, args.change, args.message, args.platform)

    def start(source: str | int) -> Job:
        return engine.archives.import_files(source, options)

    def show(info: Any) -> Result:
        return Text(info.config_digest)

    if args.source != "-":
        return Running(start(args.source), show)
    return _from_stdin("import", start, show)


def _from_stdin(
    title: str, start: Callable[[str | int], Job], show: Callable[[Any], Result]
) -> Result:
    import os

    from core.errors import UsageError

    def relay(stdin: int, stdout: int, _stderr: int) -> int:
        if os.isatty(stdin):
            raise UsageError(
                f"{title}: an archive does not come from a terminal",
                hint="send it into a pipe, or name a file",
            )
        answer = show(start(stdin).result())
        assert isinstance(answer, Text)
        os.write(stdout, answer.text.encode("utf-8", "surrogateescape") + b"\n")
        return 0

    return Foreground(title, relay)
