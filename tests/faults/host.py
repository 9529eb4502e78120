"""A store on a small disk of its own, registries, a container: what must be true of them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import tarfile
import time
from pathlib import Path

from core.containers import state
from core.containers.runtime.cgroups import PARENT
from core.paths import Paths
from tests.containers import until
from tests.e2e.command_line import LIMPET, environment
from tests.faults import clock
from tests.faults.link import Link
from tests.faults.operations import DOCKERFILE
from tests.faults.trap import Trap
from tests.fixture_images import Registry, busybox_rootfs, write_oci_layout
from tests.leftovers import SETTLE_S, Leftovers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BRIDGE = "lpfault0"
ID_LETTERS = 64
DISK_MB = 400
ALIVE = ("running", "paused")
PATIENCE_S = 60.0
"""A command that takes longer hangs."""
CONFIG = """\
[network]
bridge = "{bridge}"
subnet = "10.214.0.0/24"
[[sync]]
name = "layout"
from = "{registry}/app"
to = "oci:{disk}/mirror"
"""


class Wrong(Exception):
    """Something is not as it should be; says what."""


class Host:
    """What is hurt."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.disk = work / "disk"
        self._mount_disk()
        self.paths = Paths(str(self.disk / "data"), str(work / "run"))
        self.paths.make()
        self.registry = Registry(work / "registry")
        self.link = Link(self.registry.port)
        config = work / "config.toml"
        config.write_text(CONFIG.format(bridge=BRIDGE, registry=self.link.host, disk=self.disk))
        self.env = {**environment(self.paths, work), "LIMPET_CONFIG": str(config)}
        self.trap = Trap(self.paths.data + "/")
        self.own, self._server = self._serve()
        self.before = Leftovers(work)

    def _mount_disk(self) -> None:
        self.disk.mkdir()
        image = self.work / "disk.img"
        with image.open("wb") as file:
            file.truncate(DISK_MB << 20)
        # The blocks of any disk that is not tiny: where they are smaller than a page, the file
        # that SQLite maps has holes, and a full disk ends all that touch them by SIGBUS.
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-b", "4096", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.disk)], check=True)

    def _serve(self) -> tuple[str, subprocess.Popen[bytes]]:
        """Start limpet's own registry on the store; return its address."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        with (self.work / "serve.log").open("wb") as log:
            server = subprocess.Popen(
                [LIMPET, "registry", "serve", "--address", f"127.0.0.1:{port}"],
                env=self.env, stdout=log, stderr=log,
            )  # fmt: skip
        until(lambda: _listens(port))
        return f"127.0.0.1:{port}", server

    def set_up(self) -> None:
        """Make a base image, one in the registry, and a container."""
        context = self.work / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        (context / "file").write_bytes(os.urandom(1 << 20))
        layers = [busybox_rootfs(), *(_layer(number) for number in range(3))]
        layout = write_oci_layout(self.work / "layout", layers, {"Cmd": ["sh"]})
        self.registry.push(layout, "app:1")
        spare = write_oci_layout(self.work / "spare", [_layer(9)], {"Cmd": ["sh"]})
        self.registry.push(spare, "spare:1")
        name = f"{self.link.host}/app:1"
        self.limpet("pull", name)
        self.limpet("tag", name, "base")
        self.limpet("build", "-q", "-t", "built", str(context))
        self.limpet("save", "-o", str(self.disk / "base.tar"), "base")
        self.limpet("run", "-d", "--name", "box", "base", "sleep", "100000")

    def places(self, number: int) -> dict[str, Any]:
        """Return what stands in an operation's words."""
        return {"registry": self.link.host, "own": self.own, "n": number, "disk": self.disk,
                "context": self.work / "context"}  # fmt: skip

    def start(self, words: list[str], env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a command under the trap; what it says goes to `work/said`."""
        with (self.work / "said").open("wb") as said:
            return subprocess.Popen(
                [LIMPET, *words], env={**self.env, **(env or {})}, stdout=subprocess.DEVNULL,
                stderr=said, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.work,
                preexec_fn=self.trap.enter,
            )  # fmt: skip

    def said(self) -> str:
        """Return what the last started command said on stderr."""
        return (self.work / "said").read_text("utf-8", "replace")

    def limpet(self, *words: str, fails: bool = False) -> str:
        """Run a command to its end, under the trap as well; Wrong if it fails, unless it may."""
        try:
            done = subprocess.run(
                [LIMPET, *words], env=self.env, capture_output=True, text=True, cwd=self.work,
                timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
                preexec_fn=self.trap.enter,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Wrong(f"{' '.join(words)}: it hangs") from None
        if "Traceback" in done.stderr or (done.returncode and not fails):
            raise Wrong(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def check(self, *, quick: bool = False) -> None:
        """Wrong unless `ps` agrees with /proc, the store is whole and nothing is left over.

        A quick check does not look at the store.
        """
        alive = self._check_containers()
        if not quick and self.limpet("image", "fsck", "-q", fails=True).split():
            raise Wrong(f"fsck:\n{self.limpet('image', 'fsck', fails=True)}")
        try:
            self._check_leftovers(alive)
        except Wrong:  # its monitor may have gone on with a start whose command was killed
            self._check_leftovers(self._check_containers())

    def _check_containers(self) -> list[state.State]:
        """Return the states of those that run; of one that is just ending two looks may differ."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            names = self.limpet("ps", "-a", "--format", "{{.Names}}").split()
            documents = self._inspected(names)
            lies = [lie for document in documents if (lie := _lie(document))]
            if not lies:
                break
            if time.monotonic() > deadline:
                raise Wrong("; ".join(lies))
        for name in names:
            if name.startswith("log"):
                self._check_log(name)
        return [
            state.read_state(self.paths.container(document["Id"]))
            for document in documents
            if document["State"]["Status"] in ALIVE
        ]

    def _inspected(self, names: list[str]) -> list[dict[str, Any]]:
        """Return documents of containers, but for one that has just removed itself."""
        try:
            found = self.limpet("container", "inspect", *names) if names else "[]"
        except Wrong:
            names = self.limpet("ps", "-a", "--format", "{{.Names}}").split()
            found = self.limpet("container", "inspect", *names) if names else "[]"
        return list(json.loads(found))

    def _check_log(self, name: str) -> None:
        """Wrong unless a log of counted lines has no hole; its last line may be cut."""
        lines = self.limpet("logs", name).split()[:-1]
        numbers = [int(line) for line in lines]
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise Wrong(f"{name}: lines are missing in its log, or are there twice")

    def _check_leftovers(self, alive: list[state.State]) -> None:
        processes = {f"process {pid}" for one in alive for pid in (one.pid, one.monitor)}
        cables = sum(1 for one in alive if one.address)
        cgroups = tuple(f"cgroup {directory}" for one in alive for directory in one.cgroup)

        def expected(thing: str) -> bool:
            return (
                thing.partition(":")[0] in processes
                or thing.startswith(("network device veth", *cgroups))
                or (bool(alive) and thing.split()[-1] == BRIDGE)
                or (bool(alive) and ": limpet: spawner at " in thing)
                or _is_empty_cgroup(thing)
                or _holds_cgroups(thing)
            )

        left = self.before.wait(expected)
        if left:
            raise Wrong("left behind:\n" + "\n".join(left))
        ports = sum(len(one.ports) for one in alive)
        deadline = time.monotonic() + SETTLE_S
        while (found := _network()) != (cables, ports):
            if time.monotonic() > deadline:
                raise Wrong(f"cables and published ports are {found}, not {(cables, ports)}")
            time.sleep(0.05)

    def free_bytes(self) -> int:
        """Return what is free on the small disk."""
        facts = os.statvfs(self.disk)
        return facts.f_bavail * facts.f_frsize

    def tear_down(self) -> list[str]:
        """Remove everything by limpet's own means; return what is left on the disk."""
        # What interrupted work left goes once it is a minute, an hour or a day old.
        clock.turn(self.work / "later", 2 * 86400)
        self.env |= clock.follow(self.work / "later")
        self.limpet("build", "-q", "--no-cache", str(self.work / "context"), fails=True)
        if names := self.limpet("ps", "-aq").split():
            self.limpet("rm", "-f", *names)
        self.limpet("volume", "prune", "-f", "-a", fails=True)
        self.limpet("system", "prune", "-a", "-f", fails=True)
        self.limpet("trash", "empty")
        self.limpet("build", "prune", "-a", "-f", fails=True)
        self.limpet("image", "prune", "-a", "-f", fails=True)
        self.limpet("trash", "empty")
        self._server.terminate()
        self._server.wait(10)
        self.limpet("registry", "gc", "--untagged", "--keep", "0s", fails=True)
        self.limpet("ps")  # a spawner may have been killed at its end
        return [
            f"{name}/{entry}"
            for name in ("containers", "layers", "blobs/sha256", "trash", "partial", "volumes")
            for entry in _listed(f"{self.paths.data}/{name}")
        ]

    def close(self) -> list[str]:
        """Take the disk away, and return what is left on the host."""
        self.link.close()
        self.trap.close()
        clock.forget()
        for _ in range(50):
            if not subprocess.run(["umount", str(self.disk)], check=False).returncode:
                break
            time.sleep(0.1)
        return self.before.wait()


def _lie(document: dict[str, Any]) -> str:
    """Return what a container's document says that is not so, nothing when all is."""
    shown = document["State"]
    there = shown["Pid"] > 0 and Path(f"/proc/{shown['Pid']}").exists()
    what = f"{document['Name'].lstrip('/')} is {shown['Status']}, its process is {shown['Pid']}"
    return "" if there is (shown["Status"] in ALIVE) else what


def _holds_cgroups(thing: str) -> bool:
    """Tell whether this is the parent of cgroups, which are looked at themselves."""
    folder = Path(thing.partition(" ")[2])
    if not thing.startswith("cgroup ") or folder.name != PARENT:
        return False
    try:
        return any(inner.is_dir() for inner in folder.iterdir())
    except OSError:
        return False  # it has gone meanwhile


def _is_empty_cgroup(thing: str) -> bool:
    """Tell whether this is the cgroup of a RUN whose monitor was killed at its very end.

    A later build removes it; that it does is seen when all is taken down.
    """
    folder = Path(thing.partition(" ")[2])
    if not thing.startswith("cgroup ") or len(folder.name) != ID_LETTERS:
        return False
    try:
        return not (folder / "cgroup.procs").read_text()
    except OSError:
        return True


def _network() -> tuple[int, int]:
    """Return how many cables there are, and how many published ports."""
    table = subprocess.run(
        ["nft", "list", "table", "inet", BRIDGE], capture_output=True, text=True, check=False
    ).stdout
    cables = Path("/proc/self/net/dev").read_text().count("veth")
    return cables, table.count("127.0.0.1 . tcp")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


def _listed(directory: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(directory))
    return []


def _layer(number: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in range(150):
            info = tarfile.TarInfo(f"layer{number}/file{file}")
            info.size = 20_000
            tar.addfile(info, io.BytesIO(os.urandom(info.size)))
    return buffer.getvalue()
