"""`limpet oci`: the command line of an OCI runtime, with the flags of runc and crun.

https://github.com/opencontainers/runtime-tools/blob/master/docs/command-line-interface.md
"""

from __future__ import annotations

import os
import time

from cli.oci_words import ABSENT, FLAGS, GLOBAL, HELP, HINT, TEXTS, UPDATES, Words
from core.errors import Error, NotFound, UsageError
from core.lean_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.oci.talk import Runtime


def oci(words: Sequence[str]) -> int:
    """Run one command of the runtime and return its exit code."""
    log = _Log()
    try:
        return _oci(words, log)
    except Error as error:
        log.error(error)
        return 1


def _oci(words: Sequence[str], log: _Log) -> int:
    if words and words[0] in ("--help", "-h", "help"):
        _out(HELP)
        return 0
    if words and words[0] in ("--version", "-v"):
        return _version()
    found = Words("", words, GLOBAL)
    log.path, log.form = found.get("--log"), found.get("--log-format")
    log.debug = found.has("--debug") or found.get("--log-level") == "debug"
    if not found.rest:
        raise UsageError("a verb is missing", hint=HINT)
    verb, *rest = found.rest
    if verb in ABSENT:
        raise UsageError(f"{verb} is not supported by this runtime")
    if verb not in FLAGS:
        raise UsageError(f"there is no verb {verb!r}", hint=HINT)
    if any(word in ("--help", "-h") for word in rest[:1]):
        _out(HELP)
        return 0
    from core.oci.talk import Runtime
    from core.paths import default_paths

    paths = default_paths()
    systemd = found.has("--systemd-cgroup", "-s") or found.get("--cgroup-manager") == "systemd"
    root = os.path.abspath(found.get("--root") or f"{paths.run}/oci")
    runtime = Runtime(root, paths.cache, systemd, log.write, log.debug)
    return VERBS[verb](runtime, Words(verb, rest, FLAGS[verb]))


class _Log:
    """Where complaints go: stderr, and the file of --log."""

    path = ""
    form = ""
    debug = False

    def error(self, error: Error) -> None:
        """Tell why there is an exit code."""
        os.write(2, f"limpet oci: {error.message}\n".encode("utf-8", "surrogateescape"))
        if error.hint:
            os.write(2, f"hint: {error.hint}\n".encode("utf-8", "surrogateescape"))
        self.write("error", error.message)

    def write(self, level: str, text: str) -> None:
        """Add a line to the log; debug lines only when they are asked for."""
        if level == "debug" and not self.debug:
            return
        if not self.path:
            if level != "error":
                os.write(2, f"{level}: {text}\n".encode("utf-8", "surrogateescape"))
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        entry = {"level": level, "msg": text, "time": now}
        line = (
            dumps(entry) if self.form == "json" else f'time="{now}" level={level} msg={dumps(text)}'
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            fd = os.open(self.path, flags, 0o644)
        except OSError:
            return
        os.write(fd, (line + "\n").encode("utf-8", "surrogateescape"))
        os.close(fd)


def _out(text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(1, data) :]


def _version() -> int:
    from core.commands.system.system import VERSION as OURS
    from core.oci.bundle import VERSION

    _out(f"limpet version {OURS}\nspec: {VERSION}\n")
    return 0


def _creation(words: Words) -> Any:
    from core.oci.creation import Creation

    return Creation(
        bundle=words.get("--bundle", "-b") or ".",
        config=words.get("--config", "-f"),
        pid_file=words.get("--pid-file"),
        console_socket=words.get("--console-socket"),
        preserve_fds=words.number("--preserve-fds"),
        pivot=not words.has("--no-pivot"),
        new_keyring=not words.has("--no-new-keyring"),
    )


def _create(runtime: Runtime, words: Words) -> int:
    from core.oci.creation import create

    create(runtime, words.only_id(), _creation(words))
    return 0


def _start(runtime: Runtime, words: Words) -> int:
    from core.oci.running import start
    from core.oci.state import Container

    start(runtime, Container(runtime.root, words.only_id()))
    return 0


def _run(runtime: Runtime, words: Words) -> int:
    from core.oci.bundle import read_bundle
    from core.oci.creation import create
    from core.oci.running import destroy, poststart

    asked = _creation(words)
    if words.has("--detach", "-d"):
        container = create(runtime, words.only_id(), asked, wait=False)
        poststart(runtime, container, container.spec())
        return 0
    from core.oci.foreground import Foreground

    spec = read_bundle(asked.bundle, asked.config)
    front = Foreground(tty=bool(spec["process"].get("terminal")) and not asked.console_socket)
    container = create(runtime, words.only_id(), asked, wait=False, console=front.console)
    try:
        poststart(runtime, container, spec)
        return front.wait(container.pid)
    finally:
        if not words.has("--keep"):
            destroy(runtime, container)


def _exec(runtime: Runtime, words: Words) -> int:
    from core.oci.entering import Entering, enter_container
    from core.oci.state import Container

    if not words.rest:
        raise UsageError("exec takes a container ID and a command", hint=HINT)
    container = Container(runtime.root, words.rest[0]).read()
    asked = Entering(
        process=_process(container.spec()["process"], words),
        pid_file=words.get("--pid-file"),
        console_socket=words.get("--console-socket"),
        preserve_fds=words.number("--preserve-fds"),
        ignore_paused=words.has("--ignore-paused"),
        cgroup=words.get("--cgroup"),
    )
    if words.has("--detach", "-d"):
        enter_container(runtime, container, asked)
        return 0
    from core.oci.foreground import Foreground

    front = Foreground(tty=bool(asked.process.get("terminal")) and not asked.console_socket)
    return front.wait(enter_container(runtime, container, asked, console=front.console))


def _process(own: dict[str, Any], words: Words) -> dict[str, Any]:
    """Return the process of an exec: a file's, or the container's own with another command."""
    if words.get("--process", "-p"):
        from core.oci.bundle import read_json

        found: dict[str, Any] = read_json(words.get("--process", "-p"))
    else:
        if len(words.rest) < 2:
            raise UsageError("exec takes a command, or --process FILE", hint=HINT)
        found = {**own, "args": words.rest[1:], "terminal": False}
    if words.has("--tty", "-t"):
        found["terminal"] = True
    if words.get("--user", "-u"):
        uid, _, gid = words.get("--user", "-u").partition(":")
        if not uid.isdecimal() or not (gid or "0").isdecimal():
            raise UsageError("--user takes UID[:GID], in numbers")
        found["user"] = {"uid": int(uid), "gid": int(gid or 0)}
    if gids := words.all("--additional-gids", "-g"):
        found.setdefault("user", {})["additionalGids"] = [int(gid) for gid in gids]
    found["env"] = [*(found.get("env") or ()), *words.all("--env", "-e")]
    found["cwd"] = words.get("--cwd") or found.get("cwd") or "/"
    if words.has("--no-new-privs"):
        found["noNewPrivileges"] = True
    if added := words.all("--cap", "-c"):
        sets = found.get("capabilities") or {}
        found["capabilities"] = {
            name: [*(sets.get(name) or ()), *added]
            for name in ("bounding", "effective", "permitted", "inheritable", "ambient")
        }
    for flag, key in (("--process-label", "selinuxLabel"), ("--apparmor", "apparmorProfile")):
        if words.get(flag):
            found[key] = words.get(flag)
    return found


def _state(runtime: Runtime, words: Words) -> int:
    from core.oci.state import Container

    container = Container(runtime.root, words.only_id()).read()
    extra = {key: container.facts[key] for key in ("rootfs", "created")}
    _out(dumps({**container.show(), **extra, "owner": ""}) + "\n")
    return 0


def _kill(runtime: Runtime, words: Words) -> int:
    from core.oci.running import kill
    from core.oci.state import Container

    if len(words.rest) not in (1, 2):
        raise UsageError("kill takes a container ID and a signal", hint=HINT)
    name = words.rest[1] if len(words.rest) > 1 else "TERM"
    kill(Container(runtime.root, words.rest[0]), name, everything=words.has("--all", "-a"))
    return 0


def _delete(runtime: Runtime, words: Words) -> int:
    from core.oci.running import delete
    from core.oci.state import Container

    container = Container(runtime.root, words.only_id())
    delete(runtime, container, force=words.has("--force", "-f"))
    return 0


def _pause(runtime: Runtime, words: Words) -> int:
    from core.oci.running import pause
    from core.oci.state import Container

    pause(Container(runtime.root, words.only_id()))
    return 0


def _resume(runtime: Runtime, words: Words) -> int:
    from core.oci.running import resume
    from core.oci.state import Container

    resume(Container(runtime.root, words.only_id()))
    return 0


def _update(runtime: Runtime, words: Words) -> int:
    from core.oci.running import read_resources, update
    from core.oci.state import Container

    file = words.get("--resources", "-r")
    resources = read_resources(file) if file else {}
    for flag, (part, key) in UPDATES.items():
        if words.get(flag):
            value = words.get(flag) if key in TEXTS else words.number(flag)
            resources.setdefault(part, {})[key] = value
    if not resources:
        raise UsageError("update needs --resources or a limit", hint=HINT)
    update(Container(runtime.root, words.only_id()), resources)
    return 0


def _ps(runtime: Runtime, words: Words) -> int:
    from core.oci.running import list_processes
    from core.oci.state import Container

    if not words.rest:
        raise UsageError("ps takes a container ID", hint=HINT)
    rest = words.rest[1:]
    form = words.get("--format", "-f") or "table"
    if rest[:1] in (["--format"], ["-f"]):
        form, rest = rest[1] if len(rest) > 1 else "", rest[2:]
    found = list_processes(Container(runtime.root, words.rest[0]))
    if form == "json":
        _out(dumps(found) + "\n")
        return 0
    import subprocess

    try:
        ran = subprocess.run(["ps", *(rest or ["-ef"])], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise NotFound("ps is not on this host", hint="ps --format json needs none") from error
    title, *lines = ran.stdout.splitlines()
    column = title.split().index("PID") if "PID" in title.split() else 0
    shown = [line for line in lines if line.split(None, column + 1)[column].isdecimal()
             and int(line.split(None, column + 1)[column]) in found]  # fmt: skip
    _out("\n".join([title, *shown]) + "\n")
    return 0


def _list(runtime: Runtime, words: Words) -> int:
    from core.oci.state import containers

    found = containers(runtime.root)
    if words.has("--quiet", "-q"):
        _out("".join(f"{one.id}\n" for one in found))
        return 0
    rows = [
        {**one.show(), "pid": one.pid if one.alive() else 0, "created": one.facts["created"],
         "rootfs": one.facts["rootfs"], "owner": "root"}
        for one in found
    ]  # fmt: skip
    if words.get("--format", "-f") == "json":
        _out(dumps(rows) + "\n")
        return 0
    table: list[tuple[str, ...]] = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
    table += [
        tuple(str(row[key]) for key in ("id", "pid", "status", "bundle", "created", "owner"))
        for row in rows
    ]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _out("   ".join(cells).rstrip() + "\n")
    return 0


def _spec(runtime: Runtime, words: Words) -> int:
    import json

    from core.oci.documents import example

    place = os.path.join(words.get("--bundle", "-b") or ".", "config.json")
    user = (os.geteuid(), os.getegid()) if words.has("--rootless") else None
    try:
        with open(place, "x") as file:
            file.write(json.dumps(example(user=user), indent="\t") + "\n")
    except FileExistsError as error:
        raise UsageError(f"{place} exists already", hint="remove it first") from error
    except OSError as error:
        raise NotFound(f"{place}: {error.strerror}") from error
    return 0


def _features(runtime: Runtime, words: Words) -> int:
    import json

    from core.oci.documents import features

    _out(json.dumps(features(), indent=2) + "\n")
    return 0


VERBS: dict[str, Callable[[Runtime, Words], int]] = {
    "spec": _spec, "create": _create, "start": _start, "run": _run, "exec": _exec,
    "state": _state, "kill": _kill, "delete": _delete, "pause": _pause, "resume": _resume,
    "update": _update, "ps": _ps, "list": _list, "features": _features,
}  # fmt: skip
