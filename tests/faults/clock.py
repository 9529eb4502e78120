"""A clock that is wrong for some processes alone: libfaketime's."""

from __future__ import annotations

from pathlib import Path

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def turn(file: Path, seconds: int) -> None:
    """Set the clock of those that follow `file` forward, or back, from now on."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{seconds:+d}\n")
    fresh.rename(file)


def follow(file: Path) -> dict[str, str]:
    """Return what has a process, and all that it starts, follow `file`."""
    return {
        "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
    }  # fmt: skip


def forget() -> None:
    """Remove what libfaketime shares among the threads of processes that are gone."""
    for shared in Path("/dev/shm").glob("*faketime_s*_*"):
        if not Path(f"/proc/{shared.name.rpartition('_')[2]}").exists():
            shared.unlink(missing_ok=True)
