"""Newer images in the registries, and containers that get them."""

from __future__ import annotations

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.containers.edit.upgrading import Upgraded
    from core.engine import Engine
    from core.jobs import Job
    from core.model import ImageInfo
    from core.registry.updates import Update


class Updates:
    """Finds newer images, and brings containers to them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check(self, containers: Sequence[str] = (), *, containers_only: bool = False) -> Job:
        """Start asking registries for newer images; the job's result is a list of Update.

        Asked for are all images and the containers that run, or only what is named.
        """
        engine = self._engine
        running = [engine.containers.resolve(name) for name in containers] or [
            info for info in engine.containers.list() if info.state in ("running", "paused")
        ]

        def work(job: Job) -> list[Update]:
            from core.registry.updates import User, check_updates

            users = [
                User(info.name, engine.store.full_name(info.image), info.image_digest)
                for info in running
            ]
            return check_updates(
                engine.database,
                engine.config,
                users,
                job.check,
                only_users=containers_only or bool(containers),
            )

        return engine.jobs.start("image updates", work)

    def upgrade(self, containers: Sequence[str]) -> Job:
        """Start pulling the images of containers, and making those anew that got another one.

        They keep their options, name and volumes; `editing.undo` goes back.  The job's result
        is a list of `core.containers.edit.upgrading.Upgraded`.
        """
        engine = self._engine
        rows = [engine.containers.resolve(name) for name in containers]

        def work(job: Job) -> list[Upgraded]:
            from core.containers.edit.upgrading import upgrade

            def bring(image: str, platform: str) -> ImageInfo:
                from core.registry.pull import pull

                reference = engine.reference(engine.store.full_name(image))
                if reference.host == "localhost":
                    hint = "make it anew, then: container edit --image NAME CONTAINER"
                    raise UsageError(f"{image} was made here: no registry has another", hint=hint)
                return pull(engine.store, engine.config, reference, platform, job)

            return upgrade(engine.database, engine.editing, [row.id for row in rows], bring, job)

        return engine.jobs.start(f"container upgrade {' '.join(containers)}", work)
