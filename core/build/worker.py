"""The process that fills one layer; started by `core.build.filling` by this file's path.

It has one job, so it may have a mount namespace of its own: what it mounts goes with it.
The job comes as JSON on stdin.  Lines on stdout: `files N` as it goes, then `done JSON`, or
`failed KIND TEXT` with its hint.
"""

from __future__ import annotations

import json
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.build.copy.copying import Copier, Owner
    from core.build.copy.selection import Tree


def main() -> None:
    """Do the job."""
    sys.path[:0] = sys.argv[1].split(os.pathsep)
    from core.build.copy.selection import SelectionError
    from core.linux import mount, process

    try:
        job = json.load(sys.stdin)
        signal.signal(signal.SIGTERM, lambda *_: abandon(job["scratch"]))
        process.prctl(process.PR_SET_PDEATHSIG, signal.SIGTERM)
        os.umask(0)
        process.unshare(process.CLONE_NEWNS)
        mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)
        done = Filler(job).run()
    except SelectionError as error:
        say(f"failed selection {error.text}\n{error.hint}")
        os._exit(1)
    except LookupError as error:
        say(f"failed selection {error}\n")
        os._exit(1)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        say(f"failed host {error.errno} {error.strerror}{where}\n")
        os._exit(1)
    say("done " + json.dumps(done))


def abandon(scratch: str) -> None:
    """Remove the directory of a build that was killed, and end."""
    from core.build.homes import remove_home
    from core.linux import mount

    os.chdir("/")
    for name in ("root", "source"):
        try:
            mount.umount2(f"{scratch}/{name}")
        except OSError:
            continue  # nothing was mounted there
    remove_home(os.path.dirname(scratch))
    os._exit(1)


def say(line: str) -> None:
    """Write one line for the parent."""
    data = line.replace("\n", "\x1f").encode("utf-8", "surrogateescape") + b"\n"
    while data:
        data = data[os.write(1, data) :]


class Filler:
    """Makes the root of a stage and does the job's actions in it."""

    def __init__(self, job: dict[str, Any]) -> None:
        from core.build.stack import mount_stack

        self._job = job
        self._layers: str = job["layers"]
        self._scratch: str = job["scratch"]
        for name in ("upper", "work", "root", "source"):
            os.makedirs(f"{self._scratch}/{name}", 0o755, exist_ok=True)
        self._changed: list[str] = []
        self._digest_found = ""
        if "root" in job:
            self._root = os.open(job["root"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            return
        self._root = mount_stack(
            self._layers, job["lower"], f"{self._scratch}/root",
            upper=f"{self._scratch}/upper", work=f"{self._scratch}/work",
        )  # fmt: skip

    def run(self) -> dict[str, Any]:
        """Do all actions and return what the parent should know."""
        from core.build.copy.copying import Copier

        count = 0
        for action in self._job["actions"]:
            copier = Copier(self._root, self._owner(action), lambda done: say(f"files {done}"))
            getattr(self, "_" + action["kind"])(copier, action)
            copier.finish()
            count += copier.count
        return {"changed": self._changed, "files": count, "digest": self._digest_found}

    def _owner(self, action: dict[str, Any]) -> Owner:
        from core.build.copy.copying import Owner
        from core.containers.runtime import users
        from core.linux.path import read_in_root

        uid, gid = action.get("owner") or (None, None)
        if action.get("chown"):
            name, colon, _ = action["chown"].partition(":")
            found = users.lookup(
                action["chown"],
                read_in_root(self._root, "/etc/passwd"),
                read_in_root(self._root, "/etc/group"),
            )  # fmt: skip
            uid, gid = found.uid, found.gid
            if not colon and name.isdecimal():
                gid = uid  # --chown=1000 means 1000:1000
        return Owner(uid, gid, action.get("chmod", ""))

    def _mkdir(self, copier: Copier, action: dict[str, Any]) -> None:
        copier.directory(action["path"])

    def _write(self, copier: Copier, action: dict[str, Any]) -> None:
        copier.write(action["target"], action["content"].encode("utf-8", "surrogateescape"))

    def _copy(self, copier: Copier, action: dict[str, Any]) -> None:
        """Copy listed files of a directory."""
        source = os.open(action["root"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if action["target"].endswith("/"):
            copier.directory(action["target"])
        for group in action["groups"]:
            items = []
            for path, place, stamp in group:
                try:
                    facts = os.lstat(f"{action['root']}/{path}" if path else action["root"])
                except FileNotFoundError:
                    self._changed.append(path)
                    continue
                if stamp and stamp != [facts.st_size, facts.st_mtime_ns]:
                    self._changed.append(path)
                items.append((path, place, facts))
            if items:
                copier.group(source, items, action["target"])
        os.close(source)

    def _stage(self, copier: Copier, action: dict[str, Any]) -> None:
        """Copy files of another stage or image, chosen here, where it is mounted."""
        from core.build.context.files import select
        from core.build.context.ignore import Ignore

        tree, source = self._mounted(action["lower"])
        groups = select(
            tree, action["sources"], Ignore(action["exclude"]), parents=action["parents"]
        )
        target = action["target"]
        if len(groups) > 1 and not target.endswith("/"):
            from core.build.copy.selection import SelectionError

            raise SelectionError(f"{len(groups)} sources, so the target must end with /")
        if target.endswith("/"):
            copier.directory(target)
        for group in groups:
            copier.group(source, [(item.path, item.target, item.facts) for item in group], target)
        os.close(source)

    def _digest(self, copier: Copier, action: dict[str, Any]) -> None:
        """Sum up files of another stage: what of them counts when they are copied."""
        from core.build.context.files import file_digest, items_digest, select
        from core.build.context.ignore import Ignore

        tree, source = self._mounted(action["lower"])
        groups = select(
            tree, action["sources"], Ignore(action["exclude"]), parents=action["parents"]
        )
        self._digest_found = items_digest(
            tree.root, [item for group in groups for item in group],
            lambda path, _: file_digest(f"{tree.root}/{path}"), owners=True,
        )  # fmt: skip
        os.close(source)

    def _mounted(self, lower: list[str]) -> tuple[Tree, int]:
        from core.build.context.ignore import Ignore
        from core.build.copy.selection import Tree
        from core.build.stack import mount_stack

        place = f"{self._scratch}/source"
        if not lower:
            return Tree(place, Ignore(()), closed=False), os.open(place, os.O_PATH)
        fd = mount_stack(self._layers, lower, place)
        return Tree(place, Ignore(()), closed=False), fd

    def _tar(self, copier: Copier, action: dict[str, Any]) -> None:
        """Write the files of layers as a tar."""
        from core.containers.files.export_child import write_tar

        tree, fd = self._mounted(action["lower"])
        write_tar(tree.root, action["fd"])
        os.close(fd)

    def _squash(self, copier: Copier, action: dict[str, Any]) -> None:
        """Make one layer of several."""
        from core.build.squash import squash

        squash(
            [f"{self._layers}/{layer}" for layer in action["squashed"]], f"{self._scratch}/upper"
        )

    def _unpack(self, copier: Copier, action: dict[str, Any]) -> None:
        """Unpack an archive in a child that has the stage's root as its own."""
        copier.directory(action["target"])
        from core.build.copy.archive import unpack_below

        unpack_below(self._root, action["file"], action["target"], action.get("owner"))


if __name__ == "__main__":
    main()
