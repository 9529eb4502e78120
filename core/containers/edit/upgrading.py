"""Containers take newer images of the names they were made from."""

from __future__ import annotations

from core.containers import stored
from core.errors import Cancelled, Error
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.containers.edit.editing import Editing
    from core.database import Database
    from core.jobs import Job
    from core.model import ImageInfo


class Upgraded(Record):
    """A container and the digests of its image; the same twice when it was current."""

    name: str
    before: str
    after: str


def upgrade(
    database: Database,
    editing: Editing,
    containers: Sequence[str],
    bring: Callable[[str, str], ImageInfo],
    job: Job,
) -> list[Upgraded]:
    """Let `bring` pull each container's image by name and platform, and edit what differs.

    One that fails does not end the others; the first failure is raised when all had their turn.
    """
    done = []
    failures: list[Error] = []
    for container in containers:
        job.check()
        row = stored.find(database, container)
        kept = database.query("SELECT platform FROM images WHERE digest=?", (row.image_digest,))
        try:
            found = bring(row.image, kept[0][0] if kept else "")
            if found.digest != row.image_digest:
                job.progress(row.name, 0, 0, "made anew")
                editing.edit(row.id, row.options, image=row.image)
        except Cancelled:
            raise
        except Error as error:
            job.say(f"{row.name}: {error.message}")
            failures.append(error)
            continue
        job.progress(row.name, 0, 0, "done")
        done.append(Upgraded(row.name, row.image_digest, found.digest))
    if failures:
        raise failures[0]
    return done
