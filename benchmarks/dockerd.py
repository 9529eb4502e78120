"""dockerd with a store of its own, to see what one of its pulls takes."""

from __future__ import annotations

import shutil
import subprocess
import time

from benchmarks.measure import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

READY_S = 30.0


def is_here() -> bool:
    """Return whether this host has dockerd, its client and containerd."""
    return all(map(shutil.which, ("dockerd", "docker", "containerd")))


class Dockerd:
    """A dockerd that keeps everything in one directory; a context manager that ends it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._address = f"unix://{directory}/sock"
        directory.mkdir()

    def __enter__(self) -> Self:
        here = self._directory
        places = {"data-root": here / "data", "exec-root": here / "run", "pidfile": here / "pid",
                  "host": self._address, "bridge": "none"}  # fmt: skip
        words = [f"--{name}={value}" for name, value in places.items()]
        with (here / "output").open("w") as output:
            self._process = subprocess.Popen(
                ["dockerd", *words, "--iptables=false", "--ip6tables=false"],
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        deadline = time.monotonic() + READY_S
        while subprocess.run(self.client("version"), capture_output=True).returncode:
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.__exit__()
                raise RuntimeError(f"dockerd is not ready: {(here / 'output').read_text()[-600:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def client(self, *words: str) -> list[str]:
        """Return a command line that is answered by this dockerd."""
        return ["docker", "-H", self._address, *words]

    def pull(self, reference: str) -> float:
        """Pull an image, and return the seconds that took."""
        start = time.perf_counter()
        run(self.client("pull", "-q", reference))
        return time.perf_counter() - start
