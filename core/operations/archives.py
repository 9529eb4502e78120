"""Images that leave this host and arrive without a registry: archives, layouts, ssh."""

from __future__ import annotations

from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.engine import Engine
    from core.images.archive.importing import ImportOptions
    from core.images.archive.load import Loaded
    from core.images.archive.send import Sent
    from core.images.archive.write import Named
    from core.jobs import Job
    from core.model import ImageInfo


class Archives:
    """Writes images as archives, and takes them in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(
        self,
        images: Sequence[str],
        form: str,
        since: Sequence[str] = (),
        *,
        all_platforms: bool = False,
    ) -> Callable[[int | str, Job | None], None]:
        """Return what writes images to a descriptor, or to a directory as an OCI layout.

        A name comes along into the archive; an ID comes alone.  Layers of the images `since`
        are left out of a descriptor's archive: who reads it has them.  With `all_platforms` the
        index that each was pulled with comes along, and all that it names.  Raises NotFound.
        """
        from core.images.archive.write import save, save_layout

        store = self._engine.store
        named = self._named(images, all_platforms=all_platforms)
        there = [store.manifest(store.resolve(text).digest) for text in since]
        without = frozenset(layer.digest for manifest in there for layer in manifest.layers)

        def write(target: int | str, job: Job | None) -> None:
            check = job.check if job else lambda: None
            title = f"{len(named)} image{'s' * (len(named) != 1)}"

            def told(done: int, total: int) -> None:
                if job:
                    job.progress(title, done, total, "saving")

            if isinstance(target, str):
                save_layout(store, named, target, check, told)
            else:
                save(store, named, target, form, check, told, without)

        return write

    def _named(self, images: Sequence[str], *, all_platforms: bool = False) -> Sequence[Named]:
        """Return images with the names they were called by, each image once."""
        from core.images.archive.write import Named
        from core.images.image_index import kept_index

        store = self._engine.store
        named: dict[str, Named] = {}
        for text in images:
            info, name = store.resolve(text), store.canonical(text)
            before = named[info.digest].names if info.digest in named else ()
            new = (name,) if name and name not in before else ()
            index = kept_index(store, text) if all_platforms else None
            named[info.digest] = Named(info, (*before, *new), index)
        return [*named.values()]

    def load(self, source: str | int) -> Job:
        """Start loading images of an archive (a file, a descriptor) or a layout's directory.

        The job's result is a list of `core.images.archive.load.Loaded`.
        """
        require_root("loading an image")
        engine = self._engine

        def work(job: Job) -> list[Loaded]:
            from core.images.archive.load import load

            engine.trash.sweep()
            return load(engine.store, engine.config, source, job)

        return engine.jobs.start(_title("load", source), work)

    def import_files(self, source: str | int, options: ImportOptions) -> Job:
        """Start making an image of a tar of files; the job's result is its ImageInfo."""
        require_root("making an image")
        engine = self._engine

        def work(job: Job) -> ImageInfo:
            from core.images.archive.importing import import_image

            return import_image(engine.store, engine.config, source, options, job)

        return engine.jobs.start(_title("import", source), work)

    def send(
        self, images: Sequence[str], host: str, options: Sequence[str] = (), program: str = "limpet"
    ) -> Job:
        """Start sending images over ssh to a host that has limpet; the job's result is a Sent.

        `options` are those of `ssh -o`; `program` is what limpet is called there.
        """
        named = self._named(images)

        def work(job: Job) -> Sent:
            from core.images.archive.send import send

            return send(self._engine.store, named, host, options, program, job)

        return self._engine.jobs.start(f"image send {' '.join(images)} {host}", work)

    def receive(self, stdin: int) -> Iterator[bytes]:
        """Take what `send` of another limpet brings; yields the answers to it."""
        from core.images.archive.send import receive

        return receive(self._engine.store, self._engine.config, stdin)


def _title(verb: str, source: str | int) -> str:
    return f"{verb} {source}" if isinstance(source, str) else verb
