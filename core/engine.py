"""The one object that front ends hold: images, containers, registries and jobs.

Synchronous and thread-safe; it prints nothing and knows no screens.  Parts are made on
first use, so that `limpet ps` does not pay for registries or networks.
"""

from __future__ import annotations

import os

from core.config import load_config
from core.database import Database
from core.part import part
from core.paths import Paths, configured_paths
from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from core.build.options import BuildOptions, Built
    from core.config import Config
    from core.containers.copy.copying import Copying
    from core.containers.edit.editing import Editing
    from core.containers.edit.upgrading import Upgraded
    from core.containers.files.changes import Change
    from core.containers.files.commit import CommitOptions
    from core.containers.host import Host
    from core.containers.lifecycle import Containers
    from core.containers.processes import Process
    from core.containers.supervision.launcher import Launcher
    from core.events import Watcher
    from core.images.archive_load import Loaded
    from core.images.archive_write import Named
    from core.images.compare import Tree
    from core.images.fsck import Finding
    from core.images.importing import ImportOptions
    from core.images.index import FileEntry
    from core.images.manifest import Descriptor
    from core.images.reference import Reference
    from core.images.send import Sent
    from core.images.store import ImageStore
    from core.jobs import Job, Jobs
    from core.model import ContainerInfo, Fact, ImageInfo, LayerInfo, RegistryInfo, Usage
    from core.network.network import Network
    from core.registry.push import Pushed
    from core.registry.sync import Report, RuleState
    from core.registry.sync_plan import SyncPlan
    from core.registry.updates import Update
    from core.registry_server.server import ServeOptions
    from core.trash import Trash
    from core.volumes.store import VolumeStore


class Engine:
    """Everything limpet can do on this host.

    `launcher` starts what runs in containers; a command that knows early that it will can
    have it prepared.
    """

    def __init__(self, paths: Paths, config: Config, launcher: Launcher | None = None) -> None:
        self.paths = paths
        self.config = config
        self.database = Database(paths)
        self._launcher = launcher

    @part
    def store(self) -> ImageStore:
        """The local image store."""
        from core.images.store import ImageStore

        return ImageStore(self.paths, self.database, self.config)

    @part
    def volumes(self) -> VolumeStore:
        """The named volumes."""
        from core.volumes.store import VolumeStore

        return VolumeStore(self.paths, self.database)

    @part
    def trash(self) -> Trash:
        """What was removed and can be brought back."""
        from core.trash import Trash

        return Trash(self.paths, self.database, self.config, lambda: self.store)

    @part
    def network(self) -> Network:
        """Bridges, addresses and published ports."""
        from core.network.network import Network

        return Network(self.paths, self.database, self.config)

    @part
    def lifecycle(self) -> Containers:
        """The life of containers, from create to rm."""
        from core.containers.lifecycle import Containers

        return Containers(self._host)

    @part
    def editing(self) -> Editing:
        """Changes containers that are there."""
        from core.containers.edit.editing import Editing

        return Editing(self._host, self.lifecycle)

    @part
    def _host(self) -> Host:
        from core.containers.host import Host

        return Host(
            self.paths, self.database, lambda: self.store, self.network, self.config, self.launcher
        )

    @part
    def launcher(self) -> Launcher:
        """Starts what runs in containers."""
        from core.containers.supervision.launcher import Launcher

        return self._launcher or Launcher(self.paths.spawners)

    @part
    def jobs(self) -> Jobs:
        """The long operations of this process."""
        from core.jobs import Jobs

        return Jobs()

    @part
    def watcher(self) -> Watcher:
        """Notices changes made by any limpet on this host."""
        from core.events import Watcher

        return Watcher(self.paths)

    def images(self) -> list[ImageInfo]:
        """Return the local images, newest first, with the containers made from each."""
        users = self.image_users()
        return [image.replace(used_by=users.get(image.digest, ())) for image in self.store.images()]

    def image_users(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of containers by the digest of the image they are made from."""
        users: dict[str, list[str]] = {}
        rows = self.database.query("SELECT image_digest, name FROM containers ORDER BY name")
        for digest, name in rows:
            users.setdefault(digest, []).append(name)
        return {digest: tuple(names) for digest, names in users.items()}

    def containers(self) -> list[ContainerInfo]:
        """Return all containers, newest first, whatever their state."""
        return self.lifecycle.list()

    def registries(self) -> list[RegistryInfo]:
        """Return the registries that are configured or were used, not asking any of them."""
        from core.registry.status import known_registries

        return known_registries(self.database, self.config)

    def probe_registries(self, timeout_s: float = 3) -> list[RegistryInfo]:
        """Ask each known registry whether it answers; takes at most about `timeout_s`."""
        from core.registry.status import probe_registries

        return probe_registries(self.database, self.config, timeout_s)

    def examine_host(self) -> list[Fact]:
        """Return what this host has and lacks, each lack with its remedy."""
        from core.doctor import examine

        return list(examine(self.paths, self.network))

    def usage(self, container: str) -> Usage | None:
        """Return what a running container uses now, None when it does not run."""
        return self.lifecycle.usage(container)

    def wait_change(self, timeout_s: float) -> bool:
        """Wait until some limpet changed something; False when nothing did in time."""
        return self.watcher.wait(timeout_s)

    def image_layers(self, image: str) -> list[LayerInfo]:
        """Return an image's history, oldest step first; NotFound for an unknown image."""
        return self.store.history(self.store.resolve(image).digest)

    def layer_files(self, diff_id: str) -> list[FileEntry]:
        """Return what a layer holds, from the index made while it was unpacked."""
        return self.store.layers.files(diff_id)

    def logs(
        self,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float = 0,
        until: float = 0,
        timestamps: bool = False,
        grep: str = "",
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, bytes]]:
        """Return an iterator of (1 for stdout or 2 for stderr, line) over a container's log.

        Following ends within a second after `stopped()` is true.
        """
        return self.lifecycle.logs(
            container,
            follow=follow,
            tail=tail,
            since=since,
            until=until,
            timestamps=timestamps,
            grep=grep,
            stopped=stopped,
        )

    def processes(self, container: str) -> tuple[list[Process], bytes]:
        """Return a running container's processes and its passwd file; Conflict if it is not."""
        from core.containers.processes import list_processes, read_users

        found = self.lifecycle.running(container)
        return list_processes(found), read_users(found)

    def container_size(self, container_id: str) -> tuple[int, int]:
        """Return the bytes of the files a container wrote, and of these with its image's.

        Nothing for one that has been removed meanwhile.
        """
        from core.containers.files import changes

        written = changes.written_bytes(f"{self.paths.container(container_id)}/upper")
        rows = self.database.query(
            "SELECT COALESCE(SUM(l.size), 0) FROM containers c "
            "JOIN image_layers il ON il.image = c.image_digest JOIN layers l USING (diff_id) "
            "WHERE c.id=?",
            (container_id,),
        )
        return written, written + rows[0][0]

    def changes(self, container: str) -> list[Change]:
        """Return which paths of its image a container changed, running or not."""
        from core.containers import stored
        from core.containers.files import changes
        from core.containers.files.root import open_image

        require_root("reading what a container wrote")
        row = stored.find(self.database, container)
        directory = self.paths.container(row.id)
        layers = self.store.lowerdirs(row.image_digest)
        points = changes.mount_points(stored.spec_of(self.database, row.id))
        image = open_image(directory, self.paths.layers, layers)
        try:
            return changes.find_changes(f"{directory}/upper", image, points)
        finally:
            os.close(image)

    def copying(
        self,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[int], None] = lambda total: None,
    ) -> Copying:
        """Return what copies files of containers; see there for `check` and `progress`."""
        from core.containers.copy.copying import Copying

        return Copying(self.paths, self.database, lambda: self.store, self.network, check, progress)

    def reference(self, text: str) -> Reference:
        """Parse an image reference with the configured default registry."""
        from core.images.reference import parse_reference

        return parse_reference(text, self.config["registry", "default"])

    def pull(self, text: str, platform: str = "") -> Job:
        """Start fetching an image; the job's result is its ImageInfo."""
        require_root("pulling an image")
        reference = self.reference(text)

        def work(job: Job) -> ImageInfo:
            from core.registry.pull import pull

            self.trash.sweep()
            return pull(self.store, self.config, reference, platform, job)

        return self.jobs.start(f"pull {reference.familiar}", work)

    def push(self, images: Sequence[str], target: str, *, all_platforms: bool = False) -> Job:
        """Start pushing local images under a name; the job's result is a Pushed.

        Several images become one index, an entry a platform.  With `all_platforms` it is the
        index that the first was pulled with, as it came.
        """
        from core.images.image_index import kept_index

        reference = self.reference(target)
        found = [self.store.resolve(image) for image in images]
        index = kept_index(self.store, images[0]) if all_platforms else None

        def work(job: Job) -> Pushed:
            from core.registry.push import push

            return push(self.store, self.config, found, reference, job, index)

        return self.jobs.start(f"push {reference.familiar}", work)

    def serve_registry(self, options: ServeOptions) -> Job:
        """Start serving this store as a registry; it ends when the job is cancelled."""

        def work(job: Job) -> None:
            from core.registry_server.server import serve

            serve(self.paths, self.store, self.config, options, job)

        return self.jobs.start(f"registry serve {options.host}:{options.port}", work)

    def sync_states(self) -> list[RuleState]:
        """Return the sync rules and how each went last."""
        from core.registry.sync import rule_states
        from core.registry.sync_rules import read_rules

        return rule_states(self.store, read_rules(self.config))

    def sync_plan(self, rules: Sequence[str] = ()) -> Job:
        """Start deciding what sync rules (none: all) would do; the result: a list of SyncPlan."""
        from core.registry.sync_rules import read_rules

        chosen = read_rules(self.config, rules)

        def work(job: Job) -> list[SyncPlan]:
            from core.registry.sync import plan_rules

            return plan_rules(self.store, self.config, chosen, job)

        return self.jobs.start("sync plan", work)

    def sync_run(self, rules: Sequence[str] = (), *, report: str = "", every_s: float = 0) -> Job:
        """Start what sync rules (none: all) say; the result: a list of Report, also as a file.

        The job fails after all is done if any image failed.  With `every_s` it runs again and
        again, with such a pause, until it is cancelled.
        """
        from core.registry.sync_rules import read_rules

        chosen = read_rules(self.config, rules)

        def work(job: Job) -> list[Report]:
            from core.registry.sync import check_reports, run_rules, watch_rules

            if every_s:
                watch_rules(self.store, self.config, chosen, every_s, job, report)
            done = run_rules(self.store, self.config, chosen, job, report)
            check_reports(done)
            return done

        mode = "--watch" if every_s else ""
        return self.jobs.start(" ".join(filter(None, ("sync", mode, *rules))), work)

    def build(self, options: BuildOptions) -> Job:
        """Start building an image; the job's result is a Built, its board shows the steps."""
        require_root("building an image")
        from core.build.board import Board

        board = Board()

        def work(job: Job) -> Built:
            from core.build.bases import Host
            from core.build.builder import build

            board.job = job
            host = Host(self.paths, self.config, self.store, self.network, self.launcher)
            return build(host, options, job, board)

        from core.images.reference import familiar_name

        name = familiar_name(options.tags[0]) if options.tags else options.context
        job = self.jobs.start(f"build {name}", work)
        job.board = board
        return job

    def check_updates(self, *, containers_only: bool = False) -> Job:
        """Start asking registries for newer images; the job's result is a list of Update."""
        running = [info for info in self.containers() if info.state in ("running", "paused")]

        def work(job: Job) -> list[Update]:
            from core.registry.updates import User, check_updates

            users = [
                User(info.name, self.reference(info.image).canonical, info.image_digest)
                for info in running
            ]
            return check_updates(
                self.database, self.config, users, job.check, only_users=containers_only
            )

        return self.jobs.start("image updates", work)

    def upgrade(self, containers: Sequence[str]) -> Job:
        """Start pulling the images of containers, and making those anew that got another one.

        They keep their options, name and volumes; `editing.undo` goes back.  The job's result
        is a list of `core.containers.edit.upgrading.Upgraded`.
        """
        rows = [self.lifecycle.resolve(name) for name in containers]

        def work(job: Job) -> list[Upgraded]:
            from core.containers.edit.upgrading import upgrade

            def bring(image: str, platform: str) -> ImageInfo:
                from core.registry.pull import pull

                return pull(self.store, self.config, self.reference(image), platform, job)

            return upgrade(self.database, self.editing, [row.id for row in rows], bring, job)

        return self.jobs.start(f"container upgrade {' '.join(containers)}", work)

    def commit(self, container: str, options: CommitOptions) -> Job:
        """Start making an image of a container; the job's result is its ImageInfo."""
        require_root("making an image")

        def work(job: Job) -> ImageInfo:
            from core.containers.files.commit import commit

            return commit(
                self.paths, self.database, self.network, self.store, container, options, job
            )

        return self.jobs.start(f"commit {container}", work)

    def export(self, container: str, fd: int, check: Callable[[], None] = lambda: None) -> None:
        """Write a container's files as a tar to a descriptor; blocks until it is done."""
        from core.containers.files.export import export

        require_root("reading a container's files")
        export(self.paths, self.database, self.store, container, fd, check)

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
        from core.images.archive_write import save, save_layout

        named = self._named(images, all_platforms=all_platforms)
        there = [self.store.manifest(self.store.resolve(text).digest) for text in since]
        without = frozenset(layer.digest for manifest in there for layer in manifest.layers)

        def write(target: int | str, job: Job | None) -> None:
            check = job.check if job else lambda: None
            title = f"{len(named)} image{'s' * (len(named) != 1)}"

            def told(done: int, total: int) -> None:
                if job:
                    job.progress(title, done, total, "saving")

            if isinstance(target, str):
                save_layout(self.store, named, target, check, told)
            else:
                save(self.store, named, target, form, check, told, without)

        return write

    def _named(self, images: Sequence[str], *, all_platforms: bool = False) -> list[Named]:
        """Return images with the names they were called by, each image once."""
        from core.images.archive_write import Named
        from core.images.image_index import kept_index

        named: dict[str, Named] = {}
        for text in images:
            info, name = self.store.resolve(text), self.store.canonical(text)
            before = named[info.digest].names if info.digest in named else ()
            new = (name,) if name and name not in before else ()
            index = kept_index(self.store, text) if all_platforms else None
            named[info.digest] = Named(info, (*before, *new), index)
        return [*named.values()]

    def send(
        self, images: Sequence[str], host: str, options: Sequence[str] = (), program: str = "limpet"
    ) -> Job:
        """Start sending images over ssh to a host that has limpet; the job's result is a Sent.

        `options` are those of `ssh -o`; `program` is what limpet is called there.
        """
        named = self._named(images)

        def work(job: Job) -> Sent:
            from core.images.send import send

            return send(self.store, named, host, options, program, job)

        return self.jobs.start(f"image send {' '.join(images)} {host}", work)

    def receive(self, stdin: int) -> Iterator[bytes]:
        """Take what `send` of another limpet brings; yields the answers to it."""
        from core.images.send import receive

        return receive(self.store, self.config, stdin)

    def load(self, source: str | int) -> Job:
        """Start loading images of an archive (a file, a descriptor) or a layout's directory.

        The job's result is a list of `core.images.archive_load.Loaded`.
        """
        require_root("loading an image")

        def work(job: Job) -> list[Loaded]:
            from core.images.archive_load import load

            self.trash.sweep()
            return load(self.store, self.config, source, job)

        return self.jobs.start(f"load {source if isinstance(source, str) else ''}".strip(), work)

    def import_image(self, source: str | int, options: ImportOptions) -> Job:
        """Start making an image of a tar of files; the job's result is its ImageInfo."""
        require_root("making an image")

        def work(job: Job) -> ImageInfo:
            from core.images.importing import import_image

            return import_image(self.store, self.config, source, options, job)

        return self.jobs.start(f"import {source if isinstance(source, str) else ''}".strip(), work)

    def fsck(self, images: Sequence[str], *, repair: bool, quick: bool) -> Job:
        """Start checking the store, or what some images need; the result is a list of Finding."""
        require_root("reading the store")
        only = [self.store.resolve(image).digest for image in images]

        def work(job: Job) -> list[Finding]:
            from core.images.fsck import Fsck
            from core.registry.refetch import refetch

            def fetch(blob: Descriptor, names: Sequence[str]) -> bool:
                return refetch(self.store, self.config, blob, names, job)

            check = Fsck(self.store, self.paths, job, quick=quick, repair=repair, fetch=fetch)
            return check.run(only)

        return self.jobs.start("image fsck", work)

    def file_tree(self, name: str) -> Tree:
        """Return the files and the config of an image, a container, or a layer by its digest.

        An image goes before a container of the same name.  Raises NotFound.
        """
        from core.errors import NotFound
        from core.images.compare import Tree
        from core.images.digest import is_digest

        try:
            digest, container = self.store.resolve(name).digest, ""
        except NotFound:
            if is_digest(name) and self.store.layers.has(name):
                return Tree(name, ((name, self.layer_files(name)),), {})
            try:
                info = self.lifecycle.resolve(name)
            except NotFound:
                raise NotFound(
                    f"there is no image, container or layer {name!r} here",
                    hint="images and ps -a list what there is, image history the layers",
                    subject=name,
                ) from None
            digest, container = info.image_digest, info.id
        layers = [(step.diff_id, self.layer_files(step.diff_id))
                  for step in self.store.history(digest) if step.diff_id]  # fmt: skip
        if container:
            layers.append(("", self.written_files(container)))
        return Tree(name, tuple(layers), self.store.config(digest))

    def written_files(
        self, container: str, known: Mapping[str, FileEntry] | None = None
    ) -> list[FileEntry]:
        """Return what a container wrote, as a layer would hold it now.

        `known`, by path, is what was found before: what has not changed is not read again.
        """
        from core.containers.files.commit import places_of_mounts
        from core.images.tree_index import index_tree

        require_root("reading what a container wrote")
        info = self.lifecycle.resolve(container)
        places = places_of_mounts(self.database, info.id)
        return index_tree(f"{self.paths.container(info.id)}/upper", places, known=known)

    def open_file(self, diff_id: str, path: str, container: str = "") -> int:
        """Return a descriptor of a regular file in a layer, without one in what a container wrote.

        Raises NotFound, UnsupportedMedia for what is no regular file.
        """
        from core.images.layer_files import open_beneath, open_layer_file

        if diff_id:
            return open_layer_file(self.paths, self.database, diff_id, path)
        require_root("reading what a container wrote")
        info = self.lifecycle.resolve(container)
        return open_beneath(f"{self.paths.container(info.id)}/upper", path)

    def remote_tree(self, text: str, platform: str = "") -> Job:
        """Start reading the files of an image in a registry; the job's result is a Tree."""
        reference = self.reference(text)

        def work(job: Job) -> Tree:
            from core.registry.remote_files import remote_tree

            return remote_tree(self.config, reference, platform, job)

        return self.jobs.start(f"read {reference.familiar}", work)

    def pull_platforms(self, text: str) -> Job:
        """Start fetching an image for all its platforms; the result is a list of ImageInfo."""
        require_root("pulling an image")
        reference = self.reference(text)

        def work(job: Job) -> list[ImageInfo]:
            from core.registry.pull_platforms import pull_platforms

            self.trash.sweep()
            return pull_platforms(self.store, self.config, reference, job)

        return self.jobs.start(f"pull {reference.familiar}", work)

    def make_starter(self) -> Job:
        """Start making the starter image out of the host's own programs."""
        require_root("making an image")

        def work(job: Job) -> ImageInfo:
            from core.images.starter import make_starter

            return make_starter(self.store, job)

        return self.jobs.start("image starter", work)

    def close(self) -> None:
        """Let go of this thread's database connection and of the spawner, if any."""
        launcher = self.__dict__.get("launcher", self._launcher)
        if launcher is not None:
            launcher.close()
        self.database.close()


def open_engine(launcher: Launcher | None = None) -> Engine:
    """Return an engine on this user's directories; ConfigError if the settings are wrong."""
    config = load_config()
    return Engine(configured_paths(config), config, launcher)
