"""Starts one container by the init stage alone, as a monitor would; run as a program.

A process of its own, since it changes its namespaces.  The request is JSON on stdin, the
answer JSON on stdout.
"""

from __future__ import annotations

import json
import os
import select
import sys

request = json.load(sys.stdin)
sys.path[:0] = request["path"]

from core.config import Config  # noqa: E402
from core.containers import state  # noqa: E402
from core.containers.configuration import spec  # noqa: E402
from core.containers.configuration.options import ContainerOptions, Mount  # noqa: E402
from core.containers.configuration.seccomp_profile import load_filter  # noqa: E402
from core.containers.runtime import cgroups, enter, init, plan  # noqa: E402
from core.containers.supervision import child  # noqa: E402
from core.linux import process  # noqa: E402
from core.paths import Paths  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def finish(started: child.Child) -> dict[str, Any]:
    """Read what the program says until it ends."""
    said = {started.stdout: b"", started.stderr: b"", started.master: b""}
    said.pop(-1, None)
    open_fds = set(said)
    while open_fds:
        for fd in select.select(list(open_fds), [], [])[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:  # the last holder of the terminal is gone
                data = b""
            said[fd] += data
            if not data:
                open_fds.remove(fd)
    code = child.exit_code(os.waitpid(started.pid, 0)[1])
    out, err = said.get(started.stdout, said.get(started.master, b"")), said.get(started.stderr)
    return {"out": out.decode("utf-8", "replace"), "err": (err or b"").decode(), "code": code}


def run(made_of: dict[str, Any]) -> list[Any]:
    """Start the container and what is to run beside it; return an answer each."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    process.unshare(process.CLONE_NEWPID)
    first = child.fork(init.run)
    process.setns(own, process.CLONE_NEWPID)
    tty = made_of["spec"]["process"]["terminal"]
    try:
        started = child.start(first, made_of, stdin=False, tty=tty)
    except child.StartFailed as error:
        return [{"failed": list(error.args)}]
    if not request["execs"]:
        return [finish(started)]
    answers: list[Any] = []
    for entered in request["execs"]:
        target = {
            "spec": made_of["spec"],
            "pid": started.pid,
            "ticks": state.start_ticks(started.pid),
            "container_id": request["id"],
            "argv": tuple(entered["argv"]),
            "env": (),
            "cwd": "",
            "user": entered.get("user", ""),
            "tty": entered.get("tty", False),
            "privileged": False,
            "seccomp": made_of["seccomp"],
        }
        try:
            forked = child.fork(enter.run)
            program = child.start(forked, target, stdin=False, tty=target["tty"])
        except child.StartFailed as error:
            answers.append({"failed": list(error.args)})
            continue
        if entered.get("kill"):
            os.kill(program.pid, 15)
        answers.append(finish(program))
    os.kill(started.pid, 9)
    os.waitpid(started.pid, 0)
    return answers


def main() -> None:
    """Do what is asked."""
    directory = request["directory"]
    words = request["options"]
    words["mounts"] = tuple(Mount(*mount) for mount in words.get("mounts", ()))
    lists: dict[str, Any] = {k: tuple(v) for k, v in words.items() if isinstance(v, list)}
    options = ContainerOptions(image="test", **{**words, **lists})
    document = spec.build_spec(
        options, {"config": request["image"]}, Config(), hostname="box", directory=directory,
        volumes=f"{directory}/named",
    )  # fmt: skip
    for part in ("upper", "work", "rootfs"):
        os.makedirs(f"{directory}/{part}", exist_ok=True)
    for name in ("hosts", "hostname", "resolv.conf"):
        with open(f"{directory}/{name}", "w") as file:
            file.write(name)
    capabilities = tuple(document["process"]["capabilities"]["bounding"])
    seccomp = load_filter(
        Paths(directory, directory), document["annotations"]["limpet.seccomp"], capabilities
    )
    made_of = {
        "spec": document,
        "container_id": request["id"],
        "directory": directory,
        "layers_dir": request["layers"],
        "lowerdirs": tuple(request["lower"]),
        "network": None,
        "seccomp": seccomp,
        "peers": {},
    }
    cgroup = plan.make_cgroup(document, request["id"])
    cgroups.create(cgroup)
    try:
        answers = run(made_of)
    finally:
        cgroups.remove_all(cgroup["dirs"])
    json.dump(answers, sys.stdout)


main()
