"""All manifests that an index names: indexes name indexes, and a hostile one does without end."""

from __future__ import annotations

from core.errors import Corrupt
from core.images.manifest import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.manifest import Descriptor

    Document = tuple[bytes, str, str]
    """Content, media type, digest."""

MAX_BYTES = 64 << 20
"""Of all manifests together; registries take single ones of 4 MB."""
MAX_DEPTH = 8


def manifests_below(content: bytes, get: Callable[[Descriptor], Document]) -> list[Document]:
    """Return what a manifest names, and what that names in turn: each once, the deepest first.

    Raises Corrupt for more than an image can mean, and what `get` raises.
    """
    known: dict[str, Document] = {}
    size = 0

    def add_below(content: bytes, depth: int) -> None:
        nonlocal size
        for entry in contents(content)[1]:
            digest = entry.descriptor.digest
            if digest in known:
                continue
            found = get(entry.descriptor)
            size += len(found[0])
            if depth > MAX_DEPTH or size > MAX_BYTES:
                raise Corrupt(f"the index names more manifests than an image has, such as {digest}")
            add_below(found[0], depth + 1)
            known[digest] = found

    add_below(content, 1)
    return list(known.values())
