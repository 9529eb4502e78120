"""What can be done to images: fetched, made, pushed, checked."""

from __future__ import annotations

from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.build.options import BuildOptions, Built
    from core.containers.files.commit import CommitOptions
    from core.engine import Engine
    from core.images.fsck import Finding
    from core.images.manifest import Descriptor
    from core.jobs import Job
    from core.model import ImageInfo, LayerInfo
    from core.registry.push import Pushed


class Images:
    """The images of this host, with the registries they come from and the containers on them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def users(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of containers by the digest of the image they are made from."""
        users: dict[str, list[str]] = {}
        rows = self._engine.database.query(
            "SELECT image_digest, name FROM containers ORDER BY name"
        )
        for digest, name in rows:
            users.setdefault(digest, []).append(name)
        return {digest: tuple(names) for digest, names in users.items()}

    def users_of(self, digest: str) -> Sequence[str]:
        """Return the names of the containers that are made from an image."""
        rows = self._engine.database.query(
            "SELECT name FROM containers WHERE image_digest=? ORDER BY name", (digest,)
        )
        return [name for (name,) in rows]

    def history(self, image: str) -> Sequence[LayerInfo]:
        """Return an image's history, oldest step first; NotFound for an unknown image."""
        store = self._engine.store
        return store.history(store.resolve(image).digest)

    def pull(self, text: str, platform: str = "") -> Job:
        """Start fetching an image; the job's result is its ImageInfo."""
        require_root("pulling an image")
        engine = self._engine
        reference = engine.reference(text)

        def work(job: Job) -> ImageInfo:
            from core.registry.pull import pull

            engine.trash.sweep()
            return pull(engine.store, engine.config, reference, platform, job)

        return engine.jobs.start(f"pull {reference.familiar}", work)

    def pull_platforms(self, text: str) -> Job:
        """Start fetching an image for all its platforms; the result is a list of ImageInfo."""
        require_root("pulling an image")
        engine = self._engine
        reference = engine.reference(text)

        def work(job: Job) -> Sequence[ImageInfo]:
            from core.registry.pull_platforms import pull_platforms

            engine.trash.sweep()
            return pull_platforms(engine.store, engine.config, reference, job)

        return engine.jobs.start(f"pull {reference.familiar}", work)

    def push(self, images: Sequence[str], target: str, *, all_platforms: bool = False) -> Job:
        """Start pushing local images under a name; the job's result is a Pushed.

        Several images become one index, an entry a platform.  With `all_platforms` it is the
        index that the first was pulled with, as it came.
        """
        from core.images.image_index import kept_index

        engine = self._engine
        reference = engine.reference(target)
        found = [engine.store.resolve(image) for image in images]
        index = kept_index(engine.store, images[0]) if all_platforms else None

        def work(job: Job) -> Pushed:
            from core.registry.push import push

            return push(engine.store, engine.config, found, reference, job, index)

        return engine.jobs.start(f"push {reference.familiar}", work)

    def build(self, options: BuildOptions) -> Job:
        """Start building an image; the job's result is a Built, its board shows the steps."""
        require_root("building an image")
        from core.build.board import Board
        from core.images.reference import familiar_name

        engine, board = self._engine, Board()

        def work(job: Job) -> Built:
            from core.build.bases import Host
            from core.build.builder import build

            board.job = job
            host = Host(engine.paths, engine.config, engine.store, engine.network, engine.launcher)
            return build(host, options, job, board)

        name = familiar_name(options.tags[0]) if options.tags else options.context
        job = engine.jobs.start(f"build {name}", work)
        job.board = board
        return job

    def commit(self, container: str, options: CommitOptions) -> Job:
        """Start making an image of a container; the job's result is its ImageInfo."""
        require_root("making an image")
        engine = self._engine

        def work(job: Job) -> ImageInfo:
            from core.containers.files.commit import commit

            return commit(
                engine.paths, engine.database, engine.network, engine.store, container, options, job
            )

        return engine.jobs.start(f"commit {container}", work)

    def make_starter(self) -> Job:
        """Start making the starter image out of the host's own programs."""
        require_root("making an image")

        def work(job: Job) -> ImageInfo:
            from core.images.starter import make_starter

            return make_starter(self._engine.store, job)

        return self._engine.jobs.start("image starter", work)

    def fsck(self, images: Sequence[str], *, repair: bool, quick: bool) -> Job:
        """Start checking the store, or what some images need; the result is a list of Finding."""
        require_root("reading the store")
        engine = self._engine
        only = [engine.store.resolve(image).digest for image in images]

        def work(job: Job) -> Sequence[Finding]:
            from core.images.fsck import Fsck
            from core.registry.refetch import refetch

            def fetch(blob: Descriptor, names: Sequence[str]) -> bool:
                return refetch(engine.store, engine.config, blob, names, job)

            check = Fsck(engine.store, engine.paths, job, quick=quick, repair=repair, fetch=fetch)
            return check.run(only)

        return engine.jobs.start("image fsck", work)

    def list(self) -> list[ImageInfo]:
        """Return the local images, newest first, with the containers made from each."""
        users = self.users()
        found = self._engine.store.images()
        return [image.replace(used_by=users.get(image.digest, ())) for image in found]
