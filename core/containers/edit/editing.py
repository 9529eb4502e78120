"""Changes containers that are there: their options, their image, their limits while they run.

A container keeps its ID, its name, its writable layer and its volumes; what it was before
the last change is kept, and one `undo` goes back to it.
"""

from __future__ import annotations

import marshal
import os
import time

from core.containers import creation, ending, networking, repair, state, stored
from core.containers.edit.layer_swap import KEY, align, make_aside
from core.containers.edit.live_limits import change_limits
from core.containers.host import OnHost
from core.containers.starting import check_sources
from core.containers.stored import Lock, Row
from core.containers.supervision import protocol
from core.errors import Conflict, Error, HostError, NotFound, RunError
from core.lean_json import dumps, loads
from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.configuration.options import ContainerOptions
    from core.containers.creation import Draft
    from core.containers.host import Host
    from core.containers.lifecycle import Containers


class Editing(OnHost):
    """Edits the containers of one host."""

    def __init__(self, host: Host, containers: Containers) -> None:
        super().__init__(host)
        self._containers = containers

    def edit(
        self, reference: str, options: ContainerOptions, *, image: str = "", timeout: int = -1
    ) -> None:
        """Make a container one of these options; one that runs is stopped and started again.

        `image`: make it one of this image, with an empty writable layer.  `timeout` as in
        `Containers.stop`.  One that does not
        start with the change is put back as it was, started again, and RunError raised.
        Raises UsageError, NotFound or RunError for options that make no sense, before anything
        is touched; Conflict for a running container that is removed at its end.
        """
        require_root("changing a container")
        row = stored.find(self._database, reference)
        made = self._draft(row, options, image)
        check_sources(made.spec, self._paths.container(row.id))
        ran = self._stop(row, timeout)
        with Lock(self._paths, row.id):
            self._require_stopped(row)
            self._store(row, made, fresh=bool(image))
        if ran:
            self._start(row)

    def undo(self, reference: str, *, timeout: int = -1) -> None:
        """Go back to what a container was before its last edit; once more: forth again.

        Raises NotFound when it was never edited, or its former image is gone.
        """
        require_root("changing a container")
        row = stored.find(self._database, reference)
        self._before(row)
        ran = self._stop(row, timeout)
        with Lock(self._paths, row.id):
            self._require_stopped(row)
            self._swap(row)
        if ran:
            self._start(row)

    def former(self, reference: str) -> Row:
        """Return what `undo` would bring back; NotFound when there is nothing."""
        row = stored.find(self._database, reference)
        return self._before(row)

    def update(self, reference: str, options: ContainerOptions) -> None:
        """Give a container other limits or another restart policy, at once if it runs.

        Nothing else of `options` may differ from what it has.  Raises as `edit`, and Conflict or
        HostError when a running container cannot have these limits; it is then as it was.
        """
        require_root("changing a container")
        row = stored.find(self._database, reference)
        made = self._draft(row, options, "")
        with Lock(self._paths, row.id):
            found = repair.locked_state(self._paths, self._network, row.id)
            resources = made.spec["linux"]["resources"]
            if found.cgroup and found.state in state.ALIVE:
                self._limit(row, found.cgroup, resources)
            document = loads(made.document)
            now = stored.find(self._database, row.id).document
            if KEY in now:
                document[KEY] = now[KEY]
            with self._database.write() as sql:
                sql.execute(
                    "UPDATE containers SET options=?, spec=? WHERE id=?",
                    (dumps(document), dumps(made.spec), row.id),
                )
            if found.state in state.ALIVE:
                # What it starts with when its policy starts it again.
                order = bytes((protocol.LIMITS,)) + marshal.dumps(resources)
                ending.tell(self._paths, row, order)
                policy = (options.restart or "no").encode()
                ending.tell(self._paths, row, bytes((protocol.POLICY,)) + policy)

    def _limit(self, row: Row, cgroup: tuple[str, ...], resources: dict[str, Any]) -> None:
        before = stored.spec_of(self._database, row.id)["linux"]["resources"]
        try:
            change_limits(row.id, before, resources)
        except HostError:
            # It has just ended, or waits for its next start, which is made with what is stored.
            if any(map(os.path.isdir, cgroup)):
                raise

    def _draft(self, row: Row, options: ContainerOptions, image: str) -> Draft:
        images = self._images()
        if image:
            options = options.replace(image=image)
        digest = images.resolve(image).digest if image else row.image_digest
        network = options.network or self._config["container", "network"]
        wanted = options.replace(network=network, name=row.name)
        if (wanted.network, wanted.endpoints) != (row.options.network, row.options.endpoints):
            wanted = networking.check(self._database, self._network, wanted)
        return creation.draft(
            self._paths, self._config, wanted, digest, images.config(digest), row.id
        )

    def _stop(self, row: Row, timeout: int) -> bool:
        """Stop a container; returns whether it ran."""
        found = repair.current_state(self._paths, self._network, row.id)
        if found.state not in state.ALIVE:
            return False
        if row.options.auto_remove:
            raise Conflict(
                f"container {row.name} is removed when it ends (--rm), so it cannot be changed",
                hint="make another one without --rm",
                subject=row.name,
            )
        self._containers.stop(row.id, timeout)
        return True

    def _require_stopped(self, row: Row) -> None:
        found = repair.locked_state(self._paths, self._network, row.id)
        if found.state in state.ALIVE:
            raise Conflict(
                f"container {row.name} was started meanwhile",
                hint="try again; nothing was changed",
                subject=row.name,
            )

    def _start(self, row: Row) -> None:
        try:
            self._containers.start(row.id)
        except Error as error:
            with Lock(self._paths, row.id):
                self._swap(row)
            self._containers.start(row.id)
            raise RunError(
                f"container {row.name} does not start with this change: {error.message}",
                hint=f"it runs again as it was before\n{error.hint}".rstrip(),
                subject=row.name,
                exit_code=getattr(error, "exit_code", 125),
            ) from error

    def _store(self, row: Row, made: Draft, *, fresh: bool) -> None:
        new, now = made.row, time.time()
        before, after = dict(stored.find(self._database, row.id).document), loads(made.document)
        if fresh or KEY in before:
            before[KEY] = after[KEY] = before.get(KEY, 0)
        if fresh:
            after[KEY] = make_aside(self._database, self._paths.container(row.id), row)
        with self._database.write() as sql:
            stored.require_image(sql, new)
            networking.require_networks(sql, new)
            sql.execute("DELETE FROM container_edits WHERE container=?", (row.id,))
            sql.execute(
                "INSERT INTO container_edits"
                " SELECT id, ?, image, image_digest, ?, spec FROM containers WHERE id=?",
                (now, dumps(before), row.id),
            )
            sql.execute(
                "UPDATE containers SET image=?, image_digest=?, options=?, spec=? WHERE id=?",
                (new.image, new.image_digest, dumps(after), dumps(made.spec), row.id),
            )
            for volume in new.volumes:
                sql.execute("INSERT OR IGNORE INTO volumes VALUES (?,?,?)", (volume, now, "{}"))
        self._align(row.id)

    def _align(self, container_id: str) -> None:
        row = stored.find(self._database, container_id)
        align(self._database, self._paths.container(row.id), row)

    def _swap(self, row: Row) -> None:
        """Exchange what the container is with what it was before."""
        former = self._before(row)
        self._align(row.id)
        with self._database.write() as sql:
            stored.require_image(sql, former)
            now = sql.execute(
                "SELECT image, image_digest, options, spec FROM containers WHERE id=?", (row.id,)
            ).fetchone()
            kept = sql.execute(
                "SELECT image, image_digest, options, spec FROM container_edits WHERE container=?",
                (row.id,),
            ).fetchone()
            change = "SET image=?, image_digest=?, options=?, spec=?"
            sql.execute(f"UPDATE containers {change} WHERE id=?", (*kept, former.id))
            sql.execute(
                f"UPDATE container_edits {change} WHERE container=?",
                (*now, former.id),
            )
        self._align(row.id)

    def _before(self, row: Row) -> Row:
        found = self._database.query(
            "SELECT image, image_digest, options FROM container_edits WHERE container=?", (row.id,)
        )
        if not found:
            raise NotFound(
                f"container {row.name} was not edited, so there is nothing to undo",
                hint=f"limpet container edit {row.name} --help",
                subject=row.name,
            )
        image, digest, document = found[0]
        if not self._database.query("SELECT 1 FROM images WHERE digest=?", (digest,)):
            raise NotFound(
                f"{row.name} was made from another {image} before, and that image is gone",
                hint=f"limpet undo brings an image back that was removed a moment ago\n"
                f"limpet container edit {row.name} --image {image} takes the one of today",
                subject=image,
            )
        document_: dict[str, Any] = loads(document)
        return row.replace(image=image, image_digest=digest, document=document_)
