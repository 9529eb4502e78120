"""containerd with a store of its own, to see what one of its shims costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.measure import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

CONFIG = """\
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
"""
READY_S = 10.0


def is_here() -> bool:
    """Return whether this host has containerd, its client and a runtime."""
    return all(map(shutil.which, ("containerd", "ctr", "runc")))


class Containerd:
    """A containerd and the containers that it runs; a context manager that removes all of it."""

    def __init__(self, directory: Path, layout: Path) -> None:
        """`layout` is an OCI image layout."""
        self._directory = directory
        self._socket = directory / "sock"
        self._image = f"bench:{layout.name}"
        self._names: list[str] = []
        directory.mkdir()
        (directory / "config.toml").write_text(CONFIG)
        run(["tar", "-C", str(layout), "-cf", str(directory / "image.tar"), "."])

    def __enter__(self) -> Self:
        here = self._directory
        places = {"config": here / "config.toml", "root": here / "root", "state": here / "state",
                  "address": self._socket}  # fmt: skip
        words = [f"--{name}={place}" for name, place in places.items()]
        with (here / "output").open("w") as output:
            self._process = subprocess.Popen(
                ["containerd", *words], stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + READY_S
        while not self._socket.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._ctr("images", "import", "--base-name", "bench", str(here / "image.tar"))
        self._image = self._ctr("images", "ls", "-q").split()[0]
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            self._ctr("task", "kill", "-s", "SIGKILL", name)
        for name in self._names:
            self._ctr("task", "rm", "-f", name, fails=True)
            self._ctr("containers", "rm", name)
        self._process.terminate()
        self._process.wait()
        for parent in Path("/sys/fs/cgroup").glob("*/default"):
            parent.rmdir()

    def start(self, name: str, script: str) -> None:
        """Start a container with a log."""
        log = f"file://{self._directory}/{name}.log"
        self._ctr("run", "-d", "--log-uri", log, self._image, name, "sh", "-c", script)
        self._names.append(name)

    def shims(self) -> list[int]:
        """Return the processes beside its containers."""
        wanted = os.fsencode(self._socket)
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"containerd-shim" in words[0] and wanted in words:
                found.append(int(folder.name))
        return found

    def _ctr(self, *words: str, fails: bool = False) -> str:
        argv = ["ctr", "-a", str(self._socket), *words]
        if fails:
            return subprocess.run(argv, capture_output=True, text=True).stdout
        return run(argv)
