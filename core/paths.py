"""Where limpet keeps things: the only module that names directories.

Data survives a reboot; run-time files (sockets, locks) do not and lie on a tmpfs.
Rootless users get the XDG directories (https://specifications.freedesktop.org/basedir-spec/).
"""

from __future__ import annotations

import os

from core.privileges import outer_uid
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.config import Config


class Paths(Record):
    """The directories and files of one limpet installation."""

    data: str
    """Root of what must survive a reboot."""
    run: str
    """Root of what must not."""

    @property
    def database(self) -> str:
        """SQLite file with images, tags, layers, containers and networks."""
        return f"{self.data}/limpet.db"

    @property
    def blobs(self) -> str:
        """Content-addressed blobs, `blobs/sha256/<hex>` as in the OCI image layout."""
        return f"{self.data}/blobs"

    @property
    def partial(self) -> str:
        """Half-fetched blobs, `partial/sha256-<hex>`, kept for a later resume."""
        return f"{self.data}/partial"

    @property
    def layers(self) -> str:
        """Unpacked layers, `layers/<id>`: short names, so that 60 of them fit one mount."""
        return f"{self.data}/layers"

    @property
    def containers(self) -> str:
        """One directory a container: writable layer, log, state."""
        return f"{self.data}/containers"

    def container(self, container_id: str) -> str:
        """Return the data directory of one container."""
        return f"{self.data}/containers/{container_id}"

    def container_run(self, container_id: str) -> str:
        """Return the run-time directory of one container (its monitor's socket)."""
        return f"{self.run}/containers/{container_id}"

    @property
    def spawners(self) -> str:
        """Sockets of the processes that fork monitors; made with the first."""
        return f"{self.run}/spawners"

    @property
    def reserve(self) -> str:
        """Space for the database on a full disk."""
        return f"{self.data}/reserve"

    @property
    def volumes(self) -> str:
        """One directory a named volume; made with the first."""
        return f"{self.data}/volumes"

    @property
    def trash(self) -> str:
        """Directories of removed containers, for as long as they can be brought back."""
        return f"{self.data}/trash"

    @property
    def networks(self) -> str:
        """Who is on which network now: one file each."""
        return f"{self.run}/networks"

    @property
    def bridges(self) -> str:
        """The bridges that were made on this host: an empty file each."""
        return f"{self.run}/bridges"

    @property
    def starting(self) -> str:
        """Lock that starts share, so that no bridge goes under one of them."""
        return f"{self.run}/starting.lock"

    @property
    def cache(self) -> str:
        """Files that can be made again (compiled seccomp filters)."""
        return f"{self.data}/cache"

    @property
    def changed(self) -> str:
        """File whose time stamp every change touches, for watchers in other processes."""
        return f"{self.run}/changed"

    def make(self) -> None:
        """Create the directories that are missing, mode 0700 except the run root (0711)."""
        for path in (
            self.data,
            self.blobs + "/sha256",
            self.partial,
            self.layers,
            self.containers,
            self.cache,
        ):
            os.makedirs(path, 0o700, exist_ok=True)
        os.makedirs(self.run + "/containers", 0o711, exist_ok=True)
        if not os.path.exists(self.changed):
            os.close(os.open(self.changed, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def touch_changed(self) -> None:
        """Tell watchers in every process that something changed."""
        try:
            os.utime(self.changed)
        except FileNotFoundError:
            self.make()


def configured_paths(config: Config) -> Paths:
    """Return this user's directories, those of the settings first."""
    paths = default_paths()
    data, run = config["storage", "data_root"], config["storage", "run_root"]
    return Paths(data or paths.data, run or paths.run)


def default_paths() -> Paths:
    """Return the directories for this user: LIMPET_DATA_ROOT and LIMPET_RUN_ROOT win."""
    env, uid = os.environ, outer_uid()
    if uid == 0:
        data, run = "/var/lib/limpet", "/run/limpet"
    else:
        home = env.get("HOME", "/")
        data = env.get("XDG_DATA_HOME", f"{home}/.local/share") + "/limpet"
        run = env.get("XDG_RUNTIME_DIR", f"/tmp/limpet-{uid}") + "/limpet"
    return Paths(env.get("LIMPET_DATA_ROOT", data), env.get("LIMPET_RUN_ROOT", run))
