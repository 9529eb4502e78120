"""What tests of builds share: a context to write, a build to run, a look at what came of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from core.build.options import BuildOptions, Built
from core.engine import Engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.build.board import Board

BASE = "starter"


class Workshop:
    """A context and an engine to build it with."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.engine = engine
        self.root = root
        self.board: Board | None = None
        root.mkdir(exist_ok=True)

    def write(self, files: dict[str, str]) -> None:
        """Write files of the context."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def build(self, dockerfile: str, **options: Any) -> Built:
        """Build the context with a Dockerfile and return what came of it."""
        (self.root / "Dockerfile").write_text(dockerfile)
        options.setdefault("context", str(self.root))
        options.setdefault("network", "none")
        options.setdefault("tags", ("docker.io/library/built:latest",))
        job = self.engine.images.build(BuildOptions(**options))
        self.board = job.board
        built: Built = job.result()
        return built

    def states(self) -> list[str]:
        """Return how the steps of the last build ended."""
        assert self.board is not None
        return [step.state for step in self.board.steps]

    def log(self) -> list[str]:
        """Return all that was printed in the last build."""
        assert self.board is not None
        return [line for step in self.board.steps for line in step.log]

    def config(self, built: Built) -> dict[str, Any]:
        """Return the image's config."""
        document = self.engine.store.config(built.digest)
        settings: dict[str, Any] = document["config"]
        return settings

    def tree(self, built: Built) -> dict[str, str]:
        """Return what the image has beyond its base, by path: type, mode, owner, content."""
        found: dict[str, str] = {}
        ids = self.engine.store.lowerdirs(built.digest)
        for number in reversed(ids[:-1]):
            layer = f"{self.engine.paths.layers}/{number}"
            for path in sorted(Path(layer).rglob("*")):
                facts = path.lstat()
                name = f"/{path.relative_to(layer)}"
                if path.is_symlink():
                    found[name] = f"link to {path.readlink()}"
                elif path.is_dir():
                    found[name] = f"dir {facts.st_mode & 0o7777:o} {facts.st_uid}:{facts.st_gid}"
                elif path.is_file():
                    text = path.read_text(errors="replace")
                    found[name] = (
                        f"file {facts.st_mode & 0o7777:o} {facts.st_uid}:{facts.st_gid} {text!r}"
                    )
                else:
                    found.pop(name, None)
        return found


def leftovers(engine: Engine) -> list[str]:
    """Return what a build must not leave: work in progress, containers, secrets."""
    found = []
    for folder in (f"{engine.paths.data}/build/work", f"{engine.paths.run}/build",
                   engine.paths.containers, f"{engine.paths.run}/containers"):  # fmt: skip
        if os.path.isdir(folder):
            found += [f"{folder}/{name}" for name in os.listdir(folder)]
    return found


def run(*argv: str, **more: Any) -> str:
    """Run a program and return what it prints."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return str(done.stdout)
