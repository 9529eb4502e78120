"""A container's log, wherever its driver keeps it, as what `logs` shows."""

from __future__ import annotations

from core.containers.log import drivers, reader
from core.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.containers.log.blocks import Block, Line
    from core.containers.stored import Row


def read(
    row: Row,
    directory: str,
    running: Callable[[], bool] | None,
    *,
    tail: int | None,
    since: float,
    until: float,
    timestamps: bool,
    grep: str,
) -> Iterator[tuple[int, bytes]]:
    """Return (1 for stdout or 2 for stderr, text), followed for as long as `running()`, if given.

    `directory` is the container's; times are seconds since the epoch.  With a regular
    expression `grep`, only lines in which it is found; `tail` counts those.  Raises Conflict
    when the container keeps no log.
    """
    wanted = reader.Matching(grep, tail) if grep else iter
    tail = None if grep else tail
    path = f"{directory}/log"
    if _driver(row) == drivers.JOURNALD:
        from core.containers.log.journal_reader import follow_journal, read_journal

        if running is not None:
            entries = follow_journal(row.id, running, tail=tail, since=since, until=until)
        else:
            entries = read_journal(row.id, tail=tail, since=since, until=until)
        return reader.show(wanted(entries), timestamps=timestamps)
    if running is None:
        found = reader.read_log(path, tail=tail, since=since, until=until)
        return reader.show(wanted(found), timestamps=timestamps)
    follower = reader.Follower(path, tail=tail, since=since, until=until)
    entries = reader.follow(directory, follower, running, lambda: wanted(follower.read()))
    return reader.show(entries, timestamps=timestamps)


def follow_blocks(
    row: Row, directory: str, running: Callable[[], bool], *, tail: int
) -> Iterator[Block | list[Line]]:
    """Return what `read` returns of a log that is followed, with times, many lines at a time."""
    if _driver(row) == drivers.JOURNALD:
        from core.containers.log.journal_reader import follow_journal

        entries = follow_journal(row.id, running, tail=tail)
        return ([piece] for piece in reader.show(entries, timestamps=True))
    from core.containers.log.blocks import in_blocks

    follower = reader.Follower(f"{directory}/log", tail=tail)
    return in_blocks(reader.follow(directory, follower, running, follower.blocks))


def _driver(row: Row) -> str:
    """Return a container's driver.  Raises Conflict when it keeps no log."""
    driver = row.options.log_driver
    if driver == drivers.NONE:
        raise Conflict(
            f"container {row.name} keeps no log: it has --log-driver none",
            hint=f"limpet attach {row.name} shows what it writes from now on",
            subject=row.name,
        )
    return driver
