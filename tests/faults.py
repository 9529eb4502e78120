"""Kills limpet in the middle of what it does, at any moment, and looks what that has done.

`python3 -m tests.faults [--runs N] [--seed S] [OPERATION…]`: as root; each run does one thing,
kills the command, or it and all its helpers, at a random moment of the time it takes, and
then wants everything to be true: `ps` agrees with /proc, `image fsck` finds nothing, and the
same command, said again, works.  At the end nothing may be left on the host.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.paths import Paths
from tests import isolation
from tests.e2e.command_line import LIMPET, environment
from tests.fixture_images import Registry, busybox_rootfs, write_oci_layout
from tests.leftovers import Leftovers

DOCKERFILE = """\
FROM base
RUN echo one > /one && mkdir -p /many && for i in $(seq 200); do echo $i > /many/$i; done
COPY file /file
RUN cat /file > /two
"""


class Operation:
    """One thing to do: what comes before it, the command itself, what it comes to."""

    def __init__(self, words: str, before: tuple[str, ...] = ()) -> None:
        self.words = words
        self.before = before
        self.seconds = 0.0


OPERATIONS = {
    "pull": Operation("pull {registry}/app:1", ("rmi -f {registry}/app:1", "trash empty -f")),
    "push": Operation("push copy {registry}/pushed:{n}", ("tag base copy",)),
    "build": Operation("build -q --no-cache -t built {context}"),
    "commit": Operation("commit --pause=false box committed", ("start box",)),
    "save": Operation("save -o {work}/saved.tar base"),
    "load": Operation("load -i {work}/base.tar", ("rmi -f loaded",)),
    "prune": Operation("image prune -a -f", ("tag base spare",)),
    "run": Operation("run -d --name run{n} base sleep 1000"),
    "start": Operation("start box", ("stop -t 0 box",)),
    "stop": Operation("stop -t 0 box", ("start box",)),
    "rm": Operation("rm -f gone{n}", ("run -d --name gone{n} base sleep 1000",)),
    "edit": Operation("container edit --force --env N={n} box", ("start box",)),
    "cp": Operation("cp {context} box:/copied", ("start box",)),
    "volume": Operation(
        "run --rm --network none -v vol{n}:/many built true", ("build -q -t built {context}",)
    ),
}


class Faults:
    """A store, a registry and a container to hurt."""

    def __init__(self, work: Path, seed: int) -> None:
        self.work = work
        self.paths = Paths(str(work / "data"), str(work / "run"))
        self.paths.make()
        config = work / "config.toml"
        config.write_text('[network]\nbridge = "lpfault0"\nsubnet = "10.214.0.0/24"\n')
        self.env = {**environment(self.paths, work), "LIMPET_CONFIG": str(config)}
        self.random = random.Random(seed)
        self.number = 0
        self.registry = Registry(work / "registry")

    def set_up(self) -> None:
        """Make a base image, one in the registry, and a container."""
        context = self.work / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        (context / "file").write_bytes(os.urandom(1 << 20))
        layers = [busybox_rootfs(), *(_layer(self.work, number) for number in range(3))]
        layout = write_oci_layout(self.work / "layout", layers, {"Cmd": ["sh"]})
        name = self.registry.push(layout, "app:1")
        self.limpet("pull", name)
        self.limpet("tag", name, "base")
        self.limpet("build", "-q", "-t", "built", str(context))
        self.limpet("save", "-o", str(self.work / "base.tar"), "base")
        self.limpet("run", "-d", "--name", "box", "base", "sleep", "100000")

    def limpet(self, *words: str, fails: bool = False) -> str:
        """Run a command to its end."""
        done = subprocess.run(
            [LIMPET, *words], env=self.env, capture_output=True, text=True, timeout=120,
            check=False, cwd=self.work,
        )  # fmt: skip
        if done.returncode and not fails:
            raise AssertionError(
                f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def one(self, name: str) -> str:
        """Do one thing, killed somewhere; returns what was wrong afterwards, or ""."""
        self.number += 1
        operation = OPERATIONS[name]
        places = {"registry": self.registry.host, "n": self.number, "work": self.work,
                  "context": self.work / "context"}  # fmt: skip
        for line in operation.before:
            self.limpet(*line.format(**places).split(), fails=True)
        words = operation.words.format(**places).split()
        if not operation.seconds:
            started = time.monotonic()
            self.limpet(*words)
            operation.seconds = time.monotonic() - started
            return self.check(name)
        self._kill(words, self.random.uniform(0, operation.seconds))
        wrong = self.check(name)
        if wrong:
            return wrong
        try:
            self.limpet(*self._again(name, words))
        except AssertionError as error:
            return f"said again: {error}"
        return self.check(name)

    def _again(self, name: str, words: list[str]) -> list[str]:
        """Return what a person says next: a container that came to be is started, or gone."""
        listed = self.limpet("ps", "-a", "--format", "{{.Names}}").split()
        if name == "run" and words[3] in listed:
            return ["start", words[3]]
        if name == "rm" and words[2] not in listed:
            return ["ps"]
        if name == "edit":  # it may have been done; another change always can be
            return [word + "again" if word.startswith("N=") else word for word in words]
        return words

    def _kill(self, words: list[str], after_s: float) -> None:
        """Start a command and kill it, alone or with all that it has started."""
        all_of_it = self.random.random() < 0.5
        process = subprocess.Popen(
            [LIMPET, *words], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.work,
        )  # fmt: skip
        time.sleep(after_s)
        victims = [process.pid, *_descendants(process.pid)] if all_of_it else [process.pid]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()

    def check(self, name: str) -> str:
        """Return what is not as it should be."""
        try:
            for row in self._listed():
                document = self.limpet("container", "inspect", row["Names"], fails=True)
                if not document.strip() or document.strip() == "[]":
                    continue  # one that removes itself was about to
                state = json.loads(document)[0]["State"]
                alive = state["Status"] in ("running", "paused")
                if alive != (state["Pid"] > 0 and Path(f"/proc/{state['Pid']}").exists()):
                    return f"{row['Names']} is {state['Status']}, its process is {state['Pid']}"
            found = self.limpet("image", "fsck", fails=True)
            quiet = self.limpet("image", "fsck", "-q", fails=True).split()
            if quiet:
                return f"fsck after {name}:\n{found}"
            self.limpet("images")
        except (AssertionError, ValueError) as error:
            return f"after {name}: {error}"
        return ""

    def _listed(self) -> list[dict[str, str]]:
        text = self.limpet("ps", "-a", "--format", "json").strip()
        if text.startswith("["):
            return list(json.loads(text))
        return [json.loads(line) for line in text.splitlines()]

    def tear_down(self) -> None:
        """Remove all containers and the network."""
        names = self.limpet("ps", "-aq").split()
        if names:
            self.limpet("rm", "-f", *names)
        self.limpet("network", "prune", "-f", fails=True)
        subprocess.run(["ip", "link", "del", "lpfault0"], capture_output=True, check=False)
        subprocess.run(["nft", "delete", "table", "inet", "lpfault0"], capture_output=True,
                       check=False)  # fmt: skip


def _layer(work: Path, number: int) -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in range(150):
            info = tarfile.TarInfo(f"layer{number}/file{file}")
            info.size = 20_000
            tar.addfile(info, io.BytesIO(os.urandom(info.size)))
    return buffer.getvalue()


def _descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs, those that have left for init as well."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [one for child in map(int, children) for one in (child, *_descendants(child))]


def main() -> int:
    """Run, and tell each thing that was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help=" ".join(OPERATIONS))
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1 << 30)
    names = args.operations or list(OPERATIONS)
    isolation.enter()
    work = Path(tempfile.mkdtemp(prefix="limpet-faults-", dir="/var/tmp"))
    before = Leftovers(work)
    faults = Faults(work, seed)
    wrong = 0
    with faults.registry:
        faults.set_up()
        for number in range(args.runs):
            name = names[number % len(names)]
            try:
                said = faults.one(name)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                said = str(error)
            if said:
                wrong += 1
                sys.stdout.write(f"run {number}: {name}: {said}\n")
                sys.stdout.flush()
        faults.tear_down()
    left = before.wait()
    sys.stdout.write(
        f"seed {seed}: {args.runs} runs, {wrong} with something wrong; left behind: {left or 0}\n"
    )
    if not left and not wrong:
        shutil.rmtree(work)
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
