"""Bundles to run, and the real command line of the OCI runtime to run them with."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from tests.fixture_images import busybox_rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRAM = str(Path(__file__).parent.parent / "bin/limpet-oci")


class Bundle:
    """A bundle with busybox in it; `spec` is its configuration, written before each use."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "bundle"
        self.rootfs = self.path / "rootfs"
        self.rootfs.mkdir(parents=True)
        subprocess.run(["tar", "-xf", "-", "-C", self.rootfs], input=busybox_rootfs(), check=True)
        self.root = directory / "state"
        self.env = {
            "PATH": os.environ["PATH"],
            "LIMPET_DATA_ROOT": str(directory / "data"),
            "LIMPET_RUN_ROOT": str(directory / "run"),
        }
        self.call("spec", "--bundle", str(self.path))
        self.spec: dict[str, Any] = json.loads((self.path / "config.json").read_text())
        self.spec["process"]["terminal"] = False
        self.spec["root"]["readonly"] = False

    def save(self) -> None:
        """Write config.json."""
        (self.path / "config.json").write_text(json.dumps(self.spec))

    def call(
        self, *words: str, check: bool = True, **keys: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb; output to files: a container would hold a pipe open."""
        out, err = (self.path / name for name in ("out", "err"))
        keys.setdefault("stdin", subprocess.DEVNULL)
        with out.open("w+") as stdout, err.open("w+") as stderr:
            ran = subprocess.run(
                [PROGRAM, "--root", str(self.root), *words],
                env=self.env, cwd=self.path, stdout=stdout, stderr=stderr, timeout=30, **keys,
            )  # fmt: skip
        ran.stdout, ran.stderr = out.read_text(), err.read_text()
        assert ran.returncode == 0 or not check, ran.stderr
        return ran

    def run(self, *args: str, check: bool = True, **keys: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in the bundle, from begin to end."""
        self.spec["process"]["args"] = list(args)
        self.save()
        return self.call("run", "one", check=check, **keys)

    def shell(self, script: str, **keys: Any) -> str:
        """Run a script and return what it said."""
        said: str = self.run("sh", "-c", f"{script}\ntrue", **keys).stdout
        return said

    def start(self, *args: str) -> None:
        """Create and start the container `one`."""
        self.spec["process"]["args"] = list(args)
        self.save()
        self.call("create", "one")
        self.call("start", "one")

    def state(self) -> dict[str, Any]:
        """Return what `state` says of the container `one`."""
        found: dict[str, Any] = json.loads(self.call("state", "one").stdout)
        return found

    def until(self, status: str) -> None:
        """Wait until the container `one` has a status."""
        deadline = time.monotonic() + 10
        while self.state()["status"] != status:
            assert time.monotonic() < deadline, self.state()
            time.sleep(0.01)

    def all_capabilities(self, *names: str) -> None:
        """Give the program capabilities in all five sets."""
        sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
        self.spec["process"]["capabilities"] = {one: list(names) for one in sets}
