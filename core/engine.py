"""The one object that front ends hold; its parts are what limpet can do on a host.

Synchronous and thread-safe; it prints nothing and knows no screens.  Parts are made on
first use, so that `limpet ps` does not pay for registries or networks.  What belongs to one
folder of `core` stands there; what takes several of them is in `core.operations`.
"""

from __future__ import annotations

from core.config import load_config
from core.database import Database
from core.part import part
from core.paths import Paths, configured_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.config import Config
    from core.containers.boot import Boot
    from core.containers.connections import Connections
    from core.containers.edit.editing import Editing
    from core.containers.host import Host
    from core.containers.lifecycle import Containers
    from core.containers.supervision.launcher import Launcher
    from core.images.reference import Reference
    from core.images.store import ImageStore
    from core.jobs import Jobs
    from core.model import Fact
    from core.network.network import Network
    from core.operations.archives import Archives
    from core.operations.files import Files
    from core.operations.images import Images
    from core.operations.registries import Registries
    from core.operations.sync import Sync
    from core.operations.updates import Updates
    from core.trash import Trash
    from core.volumes.store import VolumeStore
    from core.watcher import Watcher


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

        store = ImageStore(self.paths, self.database, self.config)
        if self.database.query("SELECT 1 FROM unsettled_layers LIMIT 1"):
            from core.images.settling import see_to_unsettled

            see_to_unsettled(store)
        return store

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
    def containers(self) -> Containers:
        """The life of containers, from create to rm."""
        from core.containers.lifecycle import Containers

        return Containers(self._host)

    @part
    def editing(self) -> Editing:
        """Changes containers that are there."""
        from core.containers.edit.editing import Editing

        return Editing(self._host, self.containers)

    @part
    def connections(self) -> Connections:
        """Which containers are on which networks."""
        from core.containers.connections import Connections

        return Connections(self._host)

    @part
    def boot(self) -> Boot:
        """What starts and stops with the host."""
        from core.containers.boot import Boot

        return Boot(self._host, self.containers)

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
        from core.watcher import Watcher

        return Watcher(self.paths)

    @part
    def images(self) -> Images:
        """Images: fetched, made, pushed, checked."""
        from core.operations.images import Images

        return Images(self)

    @part
    def archives(self) -> Archives:
        """Images on their way without a registry."""
        from core.operations.archives import Archives

        return Archives(self)

    @part
    def files(self) -> Files:
        """What images and containers hold."""
        from core.operations.files import Files

        return Files(self)

    @part
    def registries(self) -> Registries:
        """The registries that are known."""
        from core.operations.registries import Registries

        return Registries(self)

    @part
    def sync(self) -> Sync:
        """The rules that keep registries alike."""
        from core.operations.sync import Sync

        return Sync(self)

    @part
    def updates(self) -> Updates:
        """Newer images, and containers that get them."""
        from core.operations.updates import Updates

        return Updates(self)

    def reference(self, text: str) -> Reference:
        """Parse an image reference with the configured default registry."""
        from core.images.reference import parse_reference

        return parse_reference(text, self.config["registry", "default"])

    def examine_host(self) -> list[Fact]:
        """Return what this host has and lacks, each lack with its remedy."""
        from core.doctor import examine

        return list(examine(self.paths, self.network))

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
