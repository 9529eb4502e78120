"""`container edit` without options: the person's editor, with docker's options one a line."""

from __future__ import annotations

import os

from core.commands.container.differences import differences
from core.commands.container.run_words import in_lines, own_options, run_words
from core.commands.grammar import REGISTRY, parse
from core.commands.result import Foreground
from core.errors import Error, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.configuration.options import ContainerOptions
    from core.containers.stored import Row
    from core.engine import Engine

HEAD = """\
# Container {name}: the options of run, one a line; the last line is image and command.
# Save and leave the editor to change it, leave all as it is to change nothing.
"""
WRONG = "# WRONG: "


def edit_as_text(engine: Engine, row: Row, *, force: bool) -> Foreground:
    """Return what opens the editor, then shows what changes, asks and does it."""

    def relay(stdin: int, stdout: int, stderr: int) -> int:
        before = own_options(engine, row)
        text = HEAD.format(name=row.name) + "\n".join(in_lines(run_words(before))) + "\n"
        while True:
            edited = _in_editor(text, (stdin, stdout, stderr))
            if edited == text:
                os.write(stderr, f"{row.name} is as before\n".encode())
                return 0
            try:
                after = read_options(engine, edited, before)
            except Error as error:
                if not os.isatty(stdin):
                    raise
                complaint = WRONG + error.message.replace("\n", " ") + "\n"
                text = complaint + _without_complaint(edited)
                continue
            return _apply(engine, row, before, after, force, (stdin, stdout, stderr))

    return Foreground(f"edit {row.name}", relay)


def read_options(engine: Engine, text: str, before: ContainerOptions) -> ContainerOptions:
    """Return the options that a text asks for; what `run` alone can say stays as it was.

    Raises UsageError, or NotFound for another container that it names.
    """
    import core.commands.container.create  # noqa: F401 - declares the verb whose words these are
    from core.commands.options.create_options import Create, container_options

    args = parse(REGISTRY["create"], words_of(text))
    assert isinstance(args, Create)
    if args.name or args.cidfile or args.rm:
        raise UsageError("--name, --cidfile, --rm are for new containers", hint="limpet rename")
    found = container_options(engine, args)
    same = [one.network for one in found.endpoints] == [found.network]
    if not before.endpoints and same and found.network == before.network:
        found = found.replace(endpoints=())  # said and understood are the same
    return found.replace(name=before.name)


def words_of(text: str) -> list[str]:
    """Return a text's words as a shell reads them; lines that begin with # are left out.

    A quoted word may go over several lines, whatever these begin with.
    """
    import shlex

    words: list[str] = []
    begun = ""
    for line in text.splitlines(keepends=True):
        if not begun and line.lstrip().startswith("#"):
            continue
        begun += line
        try:
            words += shlex.split(begun)
        except ValueError:
            continue  # in the middle of a quoted word
        begun = ""
    if begun:
        raise UsageError(f"the quotes that begin in this line do not end: {begun.splitlines()[0]}")
    return words


def _apply(
    engine: Engine,
    row: Row,
    before: ContainerOptions,
    after: ContainerOptions,
    force: bool,
    stdio: tuple[int, int, int],
) -> int:
    from core.containers.state import ALIVE

    stdin, stdout, stderr = stdio
    image = after.image if after.image != before.image else ""
    lines = differences(before, after)
    if image:
        lines.append(f"image: {before.image} -> {image}, and nothing written yet")
    if not lines:
        os.write(stderr, f"{row.name} is as before\n".encode())
        return 0
    os.write(stderr, "".join(f"  {line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    runs = engine.containers.resolve(row.id).state in ALIVE
    if runs and not force:
        if not os.isatty(stdin):
            raise UsageError(
                f"{row.name} runs and would be started again: needs a yes", hint="say --yes"
            )
        os.write(stderr, f"{row.name} is stopped and started again. Go on? [y/N] ".encode())
        if os.read(stdin, 100).strip().lower() not in (b"y", b"yes"):
            return 1
    engine.editing.edit(row.id, after, image=image)
    os.write(stdout, f"{row.name}\n".encode())
    return 0


def _in_editor(text: str, stdio: tuple[int, int, int]) -> str:
    """Return what a person made of a text; HostError when there is no editor."""
    import shlex
    import subprocess
    import tempfile

    from core.errors import HostError

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.NamedTemporaryFile("w+", suffix=".limpet", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        stdin, stdout, stderr = stdio
        try:
            done = subprocess.run(
                [*shlex.split(editor), file.name], stdin=stdin, stdout=stdout, stderr=stderr,
                check=False,
            )  # fmt: skip
        except OSError as error:
            raise HostError(
                f"the editor {editor} cannot be started: {error.strerror}",
                hint="set EDITOR, or say the change: container edit --help",
                errno=error.errno or 0,
            ) from error
        if done.returncode:
            raise HostError(f"the editor {editor} failed", hint="nothing was changed")
        # Some editors write a new file in place of the old one.
        with open(file.name, encoding="utf-8") as saved:
            return saved.read()


def _without_complaint(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(WRONG))
