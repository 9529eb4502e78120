"""The mounts of a RUN: files of the context or a stage, caches, memory, secrets."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time

from core.build.context.ignore import Ignore
from core.build.copy.selection import SelectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from core.build.board import StepBoard
    from core.build.builder import Builder
    from core.build.dockerfile.instructions import Run
    from core.build.dockerfile.mounts import RunMount
    from core.build.options import Secret
    from core.build.stage_build import StageBuild

WAIT_S = 0.1


class RunMounts:
    """What one RUN mounts; as a context it gives locks and secrets back at the end."""

    def __init__(self, builder: Builder, stage: StageBuild, step: Run) -> None:
        self._builder = builder
        self._stage = stage
        self._step = step
        self._mounts = [
            mount.replace(
                target=_place(stage, stage.expand(step, mount.target)),
                source=stage.expand(step, mount.source),
                id=stage.expand(step, mount.id),
            )
            for mount in step.mounts
        ]
        self._locks: list[int] = []
        self._secrets: list[str] = []
        self.entries: list[dict[str, Any]] = []
        """As an OCI runtime configuration has them."""
        self.env: list[str] = []

    def parts(self, board: StepBoard) -> list[list[Any]]:
        """Return what the cache's key is made of: content only of what is bound."""
        found = []
        for mount in self._mounts:
            content = ""
            if mount.kind == "bind":
                content = (
                    self._builder.source(mount.stage)[1] if mount.stage
                    else self._digest(mount, board)
                )  # fmt: skip
            found.append([
                mount.kind, mount.target, mount.source, mount.id if mount.kind != "bind" else "",
                mount.read_only, content, *([mount.env] if mount.env else ()),
            ])  # fmt: skip
        return found

    def _digest(self, mount: RunMount, board: StepBoard) -> str:
        from core.build.context.files import select

        context = self._builder.context
        groups = select(context.tree, [mount.source or "."], Ignore(()), parents=False)
        items = [item for group in groups for item in group]
        return context.digest(items, self._builder.check)

    def prepare(self, board: StepBoard) -> None:
        """Make what is to be mounted."""
        for mount in self._mounts:
            getattr(self, "_" + mount.kind)(mount, board)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._locks:
            os.close(fd)
        for path in self._secrets:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass

    def _add(self, mount: RunMount, source: str, *, read_only: bool) -> None:
        options = ["rbind", "ro" if read_only else "rw"]
        self.entries.append({"destination": mount.target, "type": "bind", "source": source,
                             "options": options})  # fmt: skip

    def _bind(self, mount: RunMount, board: StepBoard) -> None:
        """Bind a copy: writes go nowhere, and .dockerignore counts."""
        self._add(mount, self._copied(mount, board), read_only=mount.read_only)

    def _copied(self, mount: RunMount, board: StepBoard) -> str:
        from core.build.filling import fill

        builder = self._builder
        place = builder.home.place()
        action: dict[str, Any]
        if mount.stage:
            layers, _ = builder.source(mount.stage)
            lower = [str(number) for number in builder.lower(layers)]
            action = {"kind": "stage", "lower": lower, "sources": [mount.source or "/"],
                      "exclude": [], "parents": False}  # fmt: skip
        else:
            from core.build.context.files import select

            context = builder.context
            groups = select(context.tree, [mount.source or "."], Ignore(()), parents=False)
            items = [[item.path, item.target, None] for item in groups[0]]
            action = {"kind": "copy", "root": context.root, "groups": [items], "owner": [0, 0]}
        job = {"layers": builder.paths.layers, "scratch": place, "lower": [],
               "actions": [{**action, "target": "/mount"}]}  # fmt: skip
        fill(job, builder.check, lambda done: builder.board.progress(board, done, 0, "binding"))
        return f"{place}/upper/mount"

    def _cache(self, mount: RunMount, board: StepBoard) -> None:
        name = hashlib.sha256(mount.id.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        top = f"{self._builder.paths.data}/build/mounts"
        os.makedirs(top, 0o700, exist_ok=True)
        home = f"{top}/{name}"
        if not self._lock(f"{home}.lock", mount, board):
            home = f"{self._builder.home.place()}/cache"  # private, and another has it
        if not os.path.isdir(home):
            self._make_cache(mount, board, home)
        with open(f"{home}.id", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(mount.id)
        self._add(mount, home, read_only=mount.read_only)

    def _make_cache(self, mount: RunMount, board: StepBoard, home: str) -> None:
        if mount.stage:
            os.rename(self._copied(mount, board), home)
            return
        half = f"{home}.{os.urandom(4).hex()}"
        os.mkdir(half)
        os.chown(half, mount.uid, mount.gid)
        os.chmod(half, mount.mode if mount.mode >= 0 else 0o755)
        try:
            os.rename(half, home)
        except OSError:
            os.rmdir(half)  # another build was faster

    def _lock(self, path: str, mount: RunMount, board: StepBoard) -> bool:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._locks.append(fd)
        kind = fcntl.LOCK_SH if mount.sharing == "shared" else fcntl.LOCK_EX
        told = False
        while True:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if mount.sharing == "private":
                    return False
            else:
                return True
            if not told:
                self._builder.board.say(board, f"waiting for the cache {mount.id}")
                told = True
            self._builder.check()
            time.sleep(WAIT_S)

    def _tmpfs(self, mount: RunMount, board: StepBoard) -> None:
        options = ["nosuid", "nodev", "mode=1777"]
        if mount.size:
            options.append(f"size={mount.size}")
        self.entries.append({"destination": mount.target, "type": "tmpfs", "source": "tmpfs",
                             "options": options})  # fmt: skip

    def _secret(self, mount: RunMount, board: StepBoard) -> None:
        secret = next((one for one in self._builder.options.secrets if one.id == mount.id), None)
        if secret is None:
            if mount.required:
                raise SelectionError(
                    f"the secret {mount.id} was not given", f"--secret id={mount.id},src=FILE"
                )
            return
        content = read_secret(secret)
        if mount.env:
            self.env.append(f"{mount.env}={content.decode('utf-8', 'surrogateescape')}")
        if mount.target:
            path = f"{self._builder.memory()}/{os.urandom(6).hex()}"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._secrets.append(path)
            with open(fd, "wb") as file:
                file.write(content)
                os.fchown(fd, mount.uid, mount.gid)
                os.fchmod(fd, mount.mode if mount.mode >= 0 else 0o400)
            self._add(mount, path, read_only=True)


def _place(stage: StageBuild, target: str) -> str:
    """Return where a mount goes, "" for a secret that is only a variable."""
    return (stage.state.below(target).rstrip("/") or "/") if target else ""


def read_secret(secret: Secret) -> bytes:
    """Return a secret's bytes; SelectionError when they cannot be had."""
    if secret.env:
        if secret.env not in os.environ:
            raise SelectionError(f"the secret {secret.id}: {secret.env} is not set here")
        return os.environb[secret.env.encode()]
    try:
        with open(secret.file, "rb") as file:
            return file.read()
    except OSError as error:
        raise SelectionError(f"the secret {secret.id}: {secret.file}: {error.strerror}") from None
