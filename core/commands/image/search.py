"""The verbs that look through files of images: where one is, what deserves a look."""

from __future__ import annotations

from core.commands.grammar import Listing, positional, verb
from core.commands.result import Column, Result, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine


class Find(Listing):
    """Options of `image find`."""

    pattern: str = positional(
        "a file's name, DIR/NAME, a pattern with * and ?, or sha256: and a content's digest",
        metavar="PATTERN",
    )


class Hints(Listing):
    """Options of `image hints`."""

    image: str = positional("name or ID", complete="image")


@verb(
    "image find",
    Find,
    "Find files in all images by name, pattern or content",
    changes=False,
    examples=("image find libssl.so.3", "image find 'etc/*.conf'", "image find sha256:4b2c1f9e"),
)
def find(engine: Engine, args: Find) -> Result:
    """One row a layer that has it, from the indexes."""
    from core.images.files.find import find as search

    rows = tuple(
        {
            "Path": f"/{hit.path}",
            "Kind": hit.kind,
            "Size": hit.size,
            "Digest": hit.digest,
            "Layer": hit.layer,
            "Images": ", ".join(hit.images),
        }
        for hit in search(engine.paths, engine.database, args.pattern)
    )
    return Table(FIND_COLUMNS, rows, args.format, "Path" if args.quiet else "")


@verb(
    "image hints",
    Hints,
    "Show what may be a secret left behind, and programs that raise privileges",
    changes=False,
)
def hints(engine: Engine, args: Hints) -> Result:
    """Hints from names and settings alone, not findings."""
    from core.images.files.hints import hints as look

    tree = engine.files.tree(args.image)
    rows = tuple(
        {"Kind": hint.kind, "Subject": hint.subject, "Hint": hint.words,
         "Layer": hint.layer or ""}
        for hint in look(tree.config, [files for _, files in tree.layers])
    )  # fmt: skip
    return Table(HINT_COLUMNS, rows, args.format, "Subject" if args.quiet else "")


FIND_COLUMNS = (
    Column("Path", "PATH"),
    Column("Kind", "KIND"),
    Column("Size", "SIZE", "size"),
    Column("Layer", "LAYER", "id"),
    Column("Images", "IMAGES"),
)
HINT_COLUMNS = (
    Column("Kind", "KIND"),
    Column("Layer", "LAYER"),
    Column("Subject", "SUBJECT"),
    Column("Hint", "HINT"),
)
