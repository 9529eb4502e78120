"""Where uploads go on that a process did not bring to their end: a file each with the address.

An address may hold a secret, so the files are the user's alone.
"""

from __future__ import annotations

import os
import time

from core.images.digest import digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

PREFIX = "upload-"
KEEP_S = 7 * 86400.0
"""Registries forget uploads that nobody goes on with, docker-registry after a week."""


def note_of(paths: Paths, repository: str, digest: str) -> str:
    """Return the file for the upload of a blob to `HOST/PATH`."""
    os.makedirs(paths.cache, 0o700, exist_ok=True)
    return f"{paths.cache}/{PREFIX}{digest_of(f'{repository}@{digest}'.encode())[7:39]}"


def read(note: str) -> str:
    """Return the address in a note, empty without one."""
    try:
        with open(note, encoding="utf-8") as file:
            address = file.read()
    except (OSError, ValueError):
        return ""
    return address if address.isprintable() else ""


def keep(note: str, address: str) -> None:
    """Note where an upload goes on."""
    fd = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(address)


def forget(note: str) -> None:
    """Remove the note of an upload that is over, if there is one."""
    try:
        os.unlink(note)
    except FileNotFoundError:
        pass


def sweep(paths: Paths) -> None:
    """Remove the notes of uploads that were given up long ago."""
    try:
        notes = [entry for entry in os.scandir(paths.cache) if entry.name.startswith(PREFIX)]
        for note in notes:
            if note.stat().st_mtime < time.time() - KEEP_S:
                os.unlink(note)
    except FileNotFoundError:
        pass  # nothing yet, or another process was faster
