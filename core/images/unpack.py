"""Runs the process that unpacks one layer, and brings its progress and errors home."""

from __future__ import annotations

import os

from core import errors
from core.images.reporting_child import run_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHILD = os.path.join(os.path.dirname(__file__), "unpack_child.py")
BY_CODE = {
    kind.code: kind
    for kind in (errors.ImageError, errors.Corrupt, errors.UnsupportedMedia, errors.UnsafePath)
}


def unpack_layer(
    blob: str,
    target: str,
    index: str,
    *,
    media_type: str,
    digest: str,
    diff_id: str,
    max_bytes: int,
    max_files: int,
    progress: Callable[[int], None],
    check: Callable[[], None],
) -> tuple[int, int]:
    """Unpack a blob into the empty directory `target`; returns bytes of files and entries.

    Verifies the blob's digest and the content's `diff_id`.  `progress` is told compressed
    bytes; what `check` raises ends the child.  Raises ImageError and its kinds naming the
    layer and the entry, HostError when the disk is full.
    """
    last, complaint = run_child(
        CHILD,
        (blob, target, index, media_type, digest, diff_id, str(max_bytes), str(max_files)),
        check,
        lambda line: progress(int(line[6:])) if line.startswith("bytes ") else None,
    )
    kind, _, rest = last.partition(" ")
    if kind == "done":
        size, _, files = rest.partition(" ")
        return int(size), int(files)
    raise _error(kind, rest, diff_id, complaint)


def _error(kind: str, rest: str, diff_id: str, complaint: str) -> errors.Error:
    layer = f"layer {diff_id[:19]}"
    if kind != "failed":
        return errors.HostError(
            f"{layer}: unpacking ended early: {complaint}", hint="is there enough memory? try again"
        )
    code, _, text = rest.partition(" ")
    message, _, hint = text.partition("\x1f")
    if code == "host":
        number, _, words = message.partition(" ")
        return errors.HostError(
            f"{layer}: {words}",
            errno=int(number) if number.isdigit() else 0,
            hint="free some space: limpet images, limpet rmi",
        )
    return BY_CODE.get(code, errors.ImageError)(f"{layer}: {message}", hint=hint, subject=diff_id)
