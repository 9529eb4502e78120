"""podman runs its containers with limpet's OCI runtime; bundles that umoci unpacked run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.bundles import PROGRAM, Bundle
from tests.fixture_images import busybox_rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = """\
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
runtime="limpet-oci"
runtime_supports_json=["limpet-oci"]
[engine.runtimes]
limpet-oci=["{program}"]
[network]
network_backend="netavark"
[containers]
default_ulimits=["nofile=1024:1024"]
"""
CLEANED_S = 10
STORAGE = '[storage]\ndriver="overlay"\ngraphroot="{0}/root"\nrunroot="{0}/run"\n'


class Podman:
    def __init__(self, directory: Path) -> None:
        # podman passes the environment and --runtime-flag on in some of its calls only.
        runtime = directory / "limpet-oci"
        runtime.write_text(f'#!/bin/sh\nexec {PROGRAM} --root {directory}/state "$@"\n')
        runtime.chmod(0o755)
        (directory / "containers.conf").write_text(
            SETTINGS.format(program=directory / "limpet-oci")
        )
        (directory / "storage.conf").write_text(STORAGE.format(directory))
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }
        rootfs = directory / "rootfs.tar"
        rootfs.write_bytes(busybox_rootfs())
        self("import", str(rootfs), "box")

    def __call__(self, *words: str, code: int = 0, stdin: str = "") -> str:
        ran = subprocess.run(
            ["podman", "--cgroup-manager", "cgroupfs", *words],
            env=self.env, input=stdin, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert ran.returncode == code, f"{words}: {ran.returncode} {ran.stderr}"
        return ran.stdout.strip() or ran.stderr.strip()

    def run(self, *words: str, code: int = 0, stdin: str = "") -> str:
        return self("run", "--rm", "--network", "none", *words, code=code, stdin=stdin)


@pytest.fixture
def podman() -> Iterator[Podman]:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    # A short path: podman 4.3 waits twenty seconds for each container below a long one.
    directory = Path(tempfile.mkdtemp(prefix="p"))
    made = Podman(directory)
    try:
        yield made
    finally:
        made("rm", "--all", "--force", "--time", "0")
        _remove_files(directory)
        _remove_parent()


def _remove_files(directory: Path) -> None:
    """Take podman's files away; the process that cleans up after an ended one may still write."""
    deadline = time.monotonic() + CLEANED_S
    while directory.exists():
        subprocess.run(["umount", directory / "root/overlay"], capture_output=True)
        try:
            shutil.rmtree(directory)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _remove_parent() -> None:
    """Take podman's parent cgroup away, unless another podman has containers in it."""
    for tree in Path("/sys/fs/cgroup").iterdir():
        for place in (tree / "libpod_parent/conmon", tree / "libpod_parent"):
            _remove(place)


def _remove(cgroup: Path) -> None:
    for _ in range(50):  # the last conmon may still be about to end
        try:
            cgroup.rmdir()
            return
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            time.sleep(0.1)


def test_podman_runs(podman: Podman) -> None:
    assert podman.run("box", "id", "-u") == "0"
    assert podman.run("-i", "box", "cat", stdin="through\n") == "through"
    assert podman.run("-t", "box", "tty") == "/dev/pts/0"
    podman.run("box", "sh", "-c", "exit 9", code=9)
    assert "not found" in podman.run("box", "nosuch", code=127)
    assert (
        podman.run("--read-only", "--user", "1000", "--tmpfs", "/t", "box", "touch", "/t/a") == ""
    )
    maps = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
    said = podman.run(*maps, "box", "sh", "-c", "id -u > /dev/stdout; cat /proc/self/uid_map")
    assert said.split() == ["0", "0", "100000", "65536"]


def test_podman_execs_pauses_checks_and_stops(podman: Podman) -> None:
    podman("run", "-d", "--name", "one", "--network", "none", "--memory", "100m", "--stop-signal",
           "KILL", "--health-cmd", "test -e /well", "box", "sleep", "1000")  # fmt: skip
    podman("exec", "one", "touch", "/well")
    assert podman("exec", "-t", "--user", "1000", "one", "id", "-u") == "1000"
    podman("exec", "one", "sh", "-c", "exit 3", code=3)
    assert "not found" in podman("exec", "one", "nosuch", code=127)
    podman("healthcheck", "run", "one")
    podman("pause", "one")
    assert podman("inspect", "one", "--format", "{{.State.Status}}") == "paused"
    podman("unpause", "one")
    podman("update", "--memory", "120m", "one")
    assert podman("exec", "one", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes") == str(
        120 << 20
    )
    assert "sleep 1000" in podman("top", "one")
    podman("stop", "--time", "1", "one")
    assert podman("inspect", "one", "--format", "{{.State.ExitCode}}") == "137"
    podman("start", "one")
    assert podman("exec", "one", "echo", "again") == "again"


@pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed")
def test_a_bundle_of_umocis_runs(tmp_path: Path) -> None:
    layout, made = tmp_path / "layout", Bundle(tmp_path / "own")
    for words in (
        ("init", "--layout", layout),
        ("new", "--image", f"{layout}:box"),
        ("insert", "--image", f"{layout}:box", made.rootfs, "/"),
        ("config", "--image", f"{layout}:box", "--config.cmd", "id"),
        ("unpack", "--image", f"{layout}:box", tmp_path / "bundle"),
    ):
        subprocess.run(["umoci", *words], check=True, capture_output=True)
    file = tmp_path / "bundle/config.json"
    spec = json.loads(file.read_text())
    spec["process"]["terminal"] = False
    file.write_text(json.dumps(spec))
    ran = made.call("run", "--bundle", str(tmp_path / "bundle"), "one")
    assert ran.stdout.startswith("uid=0(root) gid=0(root)")
