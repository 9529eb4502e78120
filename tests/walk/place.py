"""Where the walk goes: a store with everything in it, registries, and nothing else to write to.

Whatever is typed by chance, into a shell of the host as well, reaches the walk's own directory
only: its processes are in a PID namespace, and all other file systems are read-only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from core.paths import Paths
from tests.e2e.command_line import LIMPET, environment
from tests.fixture_images import Registry, busybox_rootfs, write_oci_layout
from tests.leftovers import SETTLE_S, Leftovers
from tests.walk.lines import Names
from tests.walk.seat import Finding

ROOT = Path(LIMPET).parent.parent
BRIDGE = "lpwalk0"
NOWHERE = "127.0.0.1:9"
"""A registry that nobody runs."""
PROGRAMS = (
    "sh", "cat", "less", "vi", "grep", "head", "wc", "sort", "uniq", "seq", "echo", "true",
    "tr", "nft", "ip", "busybox", "date", "sleep", "id", "env", "ls",
)  # fmt: skip
"""What a person's PATH holds here; much is done by full name elsewhere."""
DOCKERFILE = """\
FROM starter
RUN echo one > /one && seq 2000
COPY . /context
RUN sleep 0.5; echo two
"""
CONFIG = """\
[network]
bridge = "{bridge}"
subnet = "10.216.0.0/24"
[container]
stop_timeout_s = 1
[registry]
timeout_s = 3
[aliases]
alias-word = "ps -a"
several = "ps; images"
[[sync]]
name = "layout"
from = "{registry}/app"
to = "oci:{work}/mirror"
"""
LOOP = 'i=0; while :; do i=$((i+1)); echo "{\\"level\\":\\"info\\",\\"n\\":$i}"; sleep 0.05; done'
DATES = "while :; do date >&2; sleep 0.5; done"
ALONE = ("--network", "none")
LONG = ("sleep", "100000")
LIFE: dict[str, tuple[str, ...]] = {
    "looper": ("-d", *ALONE, "starter", "sh", "-c", LOOP),
    "looper2": ("-d", "--label", "tier=back", "--restart", "always", "-p", "127.0.0.1:0:80",
                "starter", "sh", "-c", DATES),
    "terminal": ("-d", "-it", *ALONE, "starter", "sh"),
    "frozen": ("-d", *ALONE, "--label", "tier=front", "starter", *LONG),
    "ended": (*ALONE, "starter", "sh", "-c", "seq 3000; exit 3"),
    "sick": ("-d", *ALONE, "--health-cmd", "false", "--health-interval", "2s", "starter", *LONG),
    "日本": ("-d", *ALONE, "--restart", "on-failure:3", "starter", "false"),
}  # fmt: skip
MOST = 16
"""So many containers at most are left after a check: the machine is others' as well."""
ALIVE = ("running", "paused")


class Place:
    """The store and its surroundings."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.home = work / "home"
        self.home.mkdir()
        paths = Paths(str(work / "data"), str(work / "run"))
        paths.make()
        _close_off(work)
        self.registry = Registry(work / "registry")
        self.names = Names(
            (*LIFE,),
            ("starter", "built", f"{self.registry.host}/app:1"),
            (f"{self.registry.host}/app:1", f"{self.registry.host}/app", f"{NOWHERE}/app:1",
             f"{self.registry.host}/none"),
            (self.registry.host, NOWHERE),
        )  # fmt: skip
        config = work / "config.toml"
        config.write_text(CONFIG.format(bridge=BRIDGE, registry=self.registry.host, work=work))
        self.env = {
            **environment(paths, self.home), "LIMPET_CONFIG": str(config), "SHELL": "/bin/sh",
            "PATH": str(self._programs()), "EDITOR": "vi", "TMPDIR": str(work / "tmp"),
            "DOCKER_CONFIG": str(self.home / "docker"), "ESCDELAY": "25",
        }  # fmt: skip
        (work / "tmp").mkdir()
        os.environ["TMPDIR"] = str(work / "tmp")
        self._fill_home()
        self.before = Leftovers(work)

    def _programs(self) -> Path:
        bin_ = self.work / "bin"
        bin_.mkdir()
        for name in PROGRAMS:
            if found := shutil.which(name):
                (bin_ / name).symlink_to(found)
        return bin_

    def _fill_home(self) -> None:
        context = self.home / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        (context / "file").write_text("of the context\n")
        (self.home / "scratch").write_text("a line\n" * 100)
        layout = write_oci_layout(self.work / "layout", [busybox_rootfs()], history=True)
        for tag in ("app:1", "app:2", "deep/er/app:latest"):
            self.registry.push(layout, tag)

    def limpet(self, *words: str, fails: bool = False) -> str:
        """Run a command to its end; Finding if it fails, unless it may."""
        done = subprocess.run(
            [LIMPET, *words], env=self.env, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL, cwd=self.home,
        )  # fmt: skip
        if "Traceback" in done.stderr or (done.returncode and not fails):
            raise Finding(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def refill(self) -> None:
        """Bring back what the walk has taken away, and take away what is too much."""
        names = self.limpet("ps", "-a", "--format", "{{.Names}}").split("\n")
        extra = [name for name in names if name and name not in LIFE][: max(0, len(names) - MOST)]
        if extra:
            self.limpet("rm", "-f", "--", *extra, fails=True)
        self.limpet("image", "starter")
        self.limpet("pull", "-q", f"{self.registry.host}/app:1")
        for name, words in LIFE.items():
            if name not in names:
                self.limpet("run", "--name", name, *words, fails=True)
            else:
                self.limpet("start", name, fails=True)
        self.limpet("pause", "frozen", fails=True)
        self.limpet("pull", f"{NOWHERE}/app:1", fails=True)
        self.limpet("volume", "create", "vol", fails=True)
        (self.home / "scratch").write_text("a line\n" * 100)

    def argv(self, told: Path) -> list[str]:
        """Return how the app is started."""
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        packages = ROOT / ".venv/lib" / version / "site-packages"
        program = ROOT / "tests/walk/watched.py"
        return [sys.executable, "-I", "-S", str(program), str(ROOT), str(packages), str(told)]

    def check(self) -> None:
        """Finding unless `ps` agrees with /proc, the store is whole and no bug was recorded."""
        crash = self.home / ".local/state/limpet/crash.log"
        if crash.exists():
            raise Finding(f"{crash.name}:\n{crash.read_text()}")
        deadline = time.monotonic() + SETTLE_S
        while lies := self._lies():
            if time.monotonic() > deadline:
                raise Finding("; ".join(lies))
            time.sleep(0.2)
        if self.limpet("image", "fsck", "-q", fails=True).split():
            raise Finding(f"fsck:\n{self.limpet('image', 'fsck', fails=True)}")

    def ps(self) -> list[list[str]]:
        """Return what `ps -a` says of each container: its ID, its state, its name."""
        shown = self.limpet("ps", "-a", "--no-trunc", "--format", "{{.ID}}\t{{.State}}\t{{.Names}}")
        return sorted(line.split("\t") for line in shown.splitlines())

    def _lies(self) -> list[str]:
        found = []
        names = self.limpet("ps", "-aq", "--no-trunc").split()
        shown = self.limpet("container", "inspect", *names, fails=True) if names else "[]"
        for document in json.loads(shown or "[]"):
            state = document["State"]
            there = state["Pid"] > 0 and Path(f"/proc/{state['Pid']}").exists()
            if there is not (state["Status"] in ALIVE):
                found.append(f"{document['Name']} is {state['Status']}, process {state['Pid']}")
        return found

    def tear_down(self) -> None:
        """Remove everything by limpet's own means; Finding if something stays on the host."""
        if names := self.limpet("ps", "-aq").split():
            self.limpet("rm", "-f", *names)
        self.limpet("network", "prune", "-f")
        subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True, check=False)
        subprocess.run(["nft", "delete", "table", "inet", BRIDGE], capture_output=True, check=False)
        if left := self.before.wait():
            raise Finding("left behind:\n" + "\n".join(left))
        with self.registry:
            pass


def _close_off(work: Path) -> None:
    """Make all but `work` read-only to this process and its children; see mount(8), remount."""
    subprocess.run(["mount", "--bind", work, work], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/"], check=True)
