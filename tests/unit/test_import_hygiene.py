"""A one-shot command starts in milliseconds only while it imports next to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

HEAVY = {
    "argparse", "asyncio", "collections", "concurrent.futures", "ctypes", "dataclasses", "enum",
    "functools",
    "importlib.metadata", "inspect", "logging", "prompt_toolkit", "pyroute2", "re", "rich",
    "socket", "subprocess", "textual", "threading", "tomli", "traceback", "typing",
    "urllib.request",
}  # fmt: skip
"""Each costs 2 to 200 ms; none is needed to list, start or enter a container."""

LEAN = (
    "core.record",
    "core.containers.runtime.becoming",
    "core.containers.runtime.cgroups",
    "core.containers.runtime.copies",
    "core.containers.supervision.child",
    "core.containers.supervision.deputy",
    "core.containers.runtime.device_filter",
    "core.containers.runtime.device_steps",
    "core.containers.runtime.enter",
    "core.containers.supervision.exec_session",
    "core.containers.supervision.health",
    "core.containers.runtime.init",
    "core.containers.runtime.limits",
    "core.containers.log.journal",
    "core.lean_json",
    "core.containers.log.drivers",
    "core.containers.log.writer",
    "core.containers.supervision.monitor",
    "core.containers.supervision.packing",
    "core.containers.runtime.mount_steps",
    "core.containers.runtime.plan",
    "core.containers.runtime.program",
    "core.containers.supervision.protocol",
    "core.containers.supervision.pump",
    "core.containers.supervision.request",
    "core.containers.supervision.restarts",
    "core.containers.supervision.rehearsal",
    "core.containers.supervision.samples",
    "core.containers.supervision.serving",
    "core.containers.supervision.surroundings",
    "core.containers.supervision.watch",
    "core.containers.supervision.wiring",
    "core.containers.state",
    "core.containers.runtime.steps",
    "core.containers.runtime.tree_copy",
    "core.containers.runtime.users",
    "core.linux.bpf",
    "core.linux.capabilities",
    "core.linux.conntrack",
    "core.linux.libc",
    "core.linux.memory",
    "core.linux.mount",
    "core.linux.netlink",
    "core.linux.nfnetlink",
    "core.linux.path",
    "core.linux.process",
    "core.linux.scheduling",
    "core.linux.seccomp",
    "core.linux.sockets",
    "core.linux.terminal",
    "core.file_lock",
    "core.network.attachment.rewire",
    "core.network.attachment.veth",
    "core.network.names",
    "core.network.ports.publishing",
    "core.network.rootless.pasta",
    "core.network.rootless.user_bridges",
    "core.privileges",
)
"""Modules of the spawner, the monitor and the init: their imports are every monitor's memory."""

ALLOWED = {
    "__future__", "_abc", "_collections_abc", "_ctypes", "_json", "_prctl", "_sha1", "_socket",
    "_stat", "_struct", "abc", "errno", "fcntl", "gc", "genericpath", "marshal", "os", "os.path",
    "posix", "posixpath", "resource", "select", "stat", "termios", "time",
    "core", "core.containers", "core.containers.log", "core.containers.runtime",
    "core.containers.supervision", "core.linux", "core.network", "core.network.attachment",
    "core.network.ports", "core.network.rootless",
}  # fmt: skip

CLI = """
from cli.main import main
main(words)
"""


def loaded(code: str, words: tuple[str, ...] = (), env: dict[str, str] | None = None) -> set[str]:
    """Return the modules that `code` loads on top of a bare interpreter."""
    script = f"""
import sys
bare = set(sys.modules)
sys.path += {[str(ROOT), sysconfig.get_path("purelib")]!r}
words = {list(words)!r}
try:
    {code.strip().replace(chr(10), chr(10) + "    ")}
finally:
    print("\\n" + repr(sorted(set(sys.modules) - bare)).replace("'", '"'), file=sys.stderr)
"""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, env=env
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return set(json.loads(ran.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "line",
    ["--help", "run --help", "version", "ps", "ps -a", "images", "run --pull never missing true",
     "exec missing true", "stop missing", "inspect missing",
     "oci state missing", "oci create missing", "oci list", "oci exec missing true"],
)  # fmt: skip
def test_a_command_loads_nothing_heavy(line: str, tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LIMPET_DATA_ROOT": str(tmp_path / "data"),
        "LIMPET_RUN_ROOT": str(tmp_path / "run"),
    }
    assert loaded(CLI, tuple(line.split()), env) & HEAVY == set()


@pytest.mark.parametrize("module", LEAN)
def test_a_lean_module_loads_only_lean_modules(module: str) -> None:
    assert loaded(f"import {module}") - ALLOWED - set(LEAN) == set()


def test_what_pulls_loads_neither_mail_nor_tls() -> None:
    found = loaded("import core.registry.client, core.registry.layers, core.images.verify")
    assert found & {"email", "http.client", "json", "ssl", "subprocess"} == set()
