"""The place where benchmarks happen: private namespaces, limpet's roots, the peers' set-up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from functools import cached_property
from pathlib import Path

from benchmarks.measure import run
from tests import isolation
from tests.fixture_images import Registry, busybox_rootfs, debian_rootfs, write_oci_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

ROOT = Path(__file__).parent.parent
CONTAINERS_CONF = """\
[engine]
helper_binaries_dir = ["/usr/lib/podman", "/usr/libexec/podman"]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
default_ulimits = ["nofile=1024:20000", "nproc=32768:32768"]
[network]
network_backend = "netavark"
"""
"""What podman needs to run without systemd and CAP_SYS_RESOURCE; it slows nothing down."""
ENDING_S = 10.0


class BenchHost:
    """Everything benchmarks share; a context manager that removes all of it."""

    def __init__(self) -> None:
        self.debian = debian_rootfs()
        isolation.enter()
        self.work = Path(tempfile.mkdtemp(prefix="limpet-bench-", dir="/var/tmp"))
        _hide_second_cgroup_version()
        for shared in ("/run/netns", "/dev/shm"):
            if Path(shared).is_dir():
                run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", shared])
        (self.work / "containers.conf").write_text(CONTAINERS_CONF)
        self.registry = Registry(self.work / "registry")
        layout = write_oci_layout(self.work / "busybox", [busybox_rootfs()])
        self.busybox = self.registry.push(layout, "busybox:latest")
        self.env = self.limpet_env(self.work / "limpet")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for argv, env in ((self.limpet(), self.env), (self.podman(), self.podman_env)):
            listed = subprocess.run([*argv, "ps", "-aq"], env=env, capture_output=True, text=True)
            if names := listed.stdout.split():
                subprocess.run([*argv, "rm", "-f", *names], env=env, capture_output=True)
        self.registry.__exit__()
        # podman keeps its storage mounted on itself.
        mounts = Path("/proc/self/mountinfo").read_text()
        for line in reversed(mounts.splitlines()):
            if (target := line.split()[4]).startswith(str(self.work)):
                subprocess.run(["umount", "-l", target])
        for parent in Path("/sys/fs/cgroup").glob("**/libpod_parent"):
            for cgroup in (*parent.iterdir(), parent):
                if cgroup.is_dir():
                    _remove_cgroup(cgroup)
        shutil.rmtree(self.work)

    def limpet_env(self, directory: Path) -> dict[str, str]:
        """Return an environment in which limpet keeps everything under `directory`."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.work),
            "TERM": "xterm-256color",
            "LIMPET_DATA_ROOT": f"{directory}/data",
            "LIMPET_RUN_ROOT": f"{directory}/run",
        }

    def limpet(self, *words: str) -> list[str]:
        """Return a command line of limpet."""
        return [str(ROOT / "bin/limpet"), *words]

    @property
    def podman_env(self) -> dict[str, str]:
        """The environment that gives podman its configuration."""
        conf = str(self.work / "containers.conf")
        return {"PATH": os.environ["PATH"], "HOME": str(self.work), "CONTAINERS_CONF": conf}

    def podman(self, *words: str, root: Path | None = None) -> list[str]:
        """Return a command line of podman with storage of its own."""
        root = root or self.work / "podman"
        places = ["--root", f"{root}/root", "--runroot", f"{root}/run", "--tmpdir", f"{root}/tmp"]
        networks = ["--network-config-dir", f"{root}/networks", "--storage-driver", "overlay"]
        return ["podman", *places, *networks, *words]

    @cached_property
    def limpet_image(self) -> str:
        """The busybox image, pulled by limpet."""
        run(self.limpet("pull", self.busybox), self.env)
        return self.busybox

    @cached_property
    def podman_image(self) -> str:
        """The busybox image, pulled by podman."""
        run(self.podman("pull", "-q", "--tls-verify=false", self.busybox), self.podman_env)
        return self.busybox

    def bundle(self, name: str, *, seccomp: bool, words: tuple[str, ...] = ("true",)) -> Path:
        """Make an OCI bundle as podman would hand it to crun, without network and hooks."""
        container = f"bundle-{name}"
        create = ["create", "--name", container, "--network", "none", self.podman_image, *words]
        run(self.podman(*create), self.podman_env)
        run(self.podman("init", container), self.podman_env)
        found = json.loads(run(self.podman("inspect", container), self.podman_env))[0]
        config: dict[str, Any] = json.loads(Path(found["OCIConfigPath"]).read_text())
        run(self.podman("rm", "-f", container), self.podman_env)
        bundle = self.work / container
        (bundle / "rootfs").mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", bundle / "rootfs"], input=busybox_rootfs(), check=True)
        config["root"] = {"path": "rootfs"}
        config["process"]["terminal"] = False
        config["mounts"] = [one for one in config["mounts"] if one["type"] != "bind"]
        config["linux"]["cgroupsPath"] = f"/bench-{name}"
        for namespace in config["linux"]["namespaces"]:
            namespace.pop("path", None)
        config.pop("hooks", None)
        if not seccomp:
            config["linux"].pop("seccomp", None)
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle


def _remove_cgroup(cgroup: Path) -> None:
    """Remove a cgroup once those in it have ended: conmon outlives its container a little."""
    deadline = time.monotonic() + ENDING_S
    while True:
        try:
            return cgroup.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _hide_second_cgroup_version() -> None:
    """Show only version 1 of a hybrid layout, for crun 1.8 refuses the two together."""
    root = Path("/sys/fs/cgroup")
    if not os.path.ismount(root / "unified"):
        return
    with tempfile.TemporaryDirectory() as fresh:
        run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", fresh])
        for tree in root.iterdir():
            if tree.is_symlink():
                (Path(fresh) / tree.name).symlink_to(tree.readlink())
            elif tree.name != "unified" and os.path.ismount(tree):
                (Path(fresh) / tree.name).mkdir()
                run(["mount", "--bind", str(tree), f"{fresh}/{tree.name}"])
        run(["mount", "--rbind", fresh, str(root)])
        run(["umount", "-R", fresh])
