"""Options become docker's configuration, and the configuration the right steps in order."""

from __future__ import annotations

import marshal
from pathlib import Path

import pytest

from core.config import Config
from core.containers import starting
from core.containers.configuration import spec
from core.containers.configuration.options import ContainerOptions, Mount
from core.containers.runtime import plan, steps
from core.errors import RunError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOST = plan.Host((1 << 41) - 1, 40)


def build(image: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    changes.setdefault("command", ("sh",))
    return spec.build_spec(
        ContainerOptions(image="img", **changes), {"config": image or {}}, Config(),
        hostname="box", directory="/dir", volumes="/volumes",
    )  # fmt: skip


def launch(document: dict[str, Any], lower: tuple[int, ...] = (2, 1)) -> dict[str, Any]:
    return plan.make_launch(
        document, container_id="one", directory="/dir", layers_dir="/layers", lowerdirs=lower,
        network=None, seccomp=b"\0" * 16, peers={}, host=HOST,
    )  # fmt: skip


def only_own_mounts(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out /etc files, whose sources a test without a container does not have."""
    document["mounts"] = [m for m in document["mounts"] if m["type"] != "bind"]
    return document


@pytest.mark.parametrize(
    ("image", "changes", "expected"),
    [
        ({"Cmd": ["a", "b"]}, {"command": ()}, ["a", "b"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"command": ()}, ["e", "a"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"command": ("x",)}, ["e", "x"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"command": ("x",), "entrypoint": ("n",)},
         ["n", "x"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"command": ("x",), "entrypoint": ()}, ["x"]),
    ],
)  # fmt: skip
def test_entrypoint_and_command(
    image: dict[str, Any], changes: dict[str, Any], expected: list[str]
) -> None:
    assert build(image, **changes)["process"]["args"] == expected


def test_nothing_to_run_is_said() -> None:
    with pytest.raises(RunError, match="img names no command"):
        build({}, command=())
    with pytest.raises(RunError, match="img names no command"):
        # docker: a new entrypoint sets the image's CMD aside, so this leaves nothing.
        build({"Cmd": ["a"]}, command=(), entrypoint=())


def test_environment() -> None:
    found = build({"Env": ["A=1", "PATH=/x"]}, env=("A=2", "B=b=c"), tty=True)["process"]["env"]
    assert found == ["PATH=/x", "HOSTNAME=box", "TERM=xterm", "A=2", "B=b=c"]


@pytest.mark.parametrize(
    ("changes", "present", "absent"),
    [
        ({}, {"CAP_MKNOD", "CAP_NET_RAW"}, {"CAP_SYS_ADMIN"}),
        ({"cap_add": ("sys_admin",)}, {"CAP_SYS_ADMIN", "CAP_CHOWN"}, set()),
        ({"cap_drop": ("ALL",), "cap_add": ("CAP_CHOWN",)}, {"CAP_CHOWN"}, {"CAP_MKNOD"}),
        ({"privileged": True}, {"CAP_SYS_ADMIN", "CAP_SYS_MODULE"}, set()),
    ],
)  # fmt: skip
def test_capabilities(changes: dict[str, Any], present: set[str], absent: set[str]) -> None:
    found = set(build(**changes)["process"]["capabilities"]["bounding"])
    assert present <= found
    assert not absent & found


def test_docker_gives_fourteen_capabilities() -> None:
    assert len(build()["process"]["capabilities"]["bounding"]) == 14
    with pytest.raises(UsageError, match="'FLY'"):
        build(cap_add=("FLY",))


def test_a_volume_that_somebody_mounts_is_no_volume() -> None:
    image: dict[str, Any] = {"Volumes": {"/data": {}, "/var/lib/x/": {}}}
    document = build(image, mounts=(Mount("/src", "/data", True),))
    by_target = {m["destination"]: m for m in document["mounts"]}
    assert by_target["/data"]["source"] == "/src"
    assert by_target["/data"]["options"] == ["rbind", "ro"]
    assert by_target["/var/lib/x/"]["type"] == "volume"


def test_steps_come_in_the_order_that_keeps_the_host_safe() -> None:
    document = only_own_mounts(build(tty=True, no_new_privileges=True))
    names = [type(step).__name__ for step in launch(document)["steps"]]
    first = ["Unshare", "PrivateMounts", "OverlayRoot", "JoinCgroup", "Procfs"]
    assert names[:5] == first
    tail = ["WorkingDirectory", "PivotRoot", "Bounding", "NoNewPrivileges", "Seccomp"]
    assert names[-5:] == tail
    assert names.index("Devices") < names.index("Terminal") < names.index("Mask")
    assert names.index("Mask") < names.index("ReadOnlyPaths") < names.index("PivotRoot")


def test_a_specification_survives_marshal_and_its_plan_says_what_it_does() -> None:
    document = only_own_mounts(build(memory_bytes=1 << 20))
    again = marshal.loads(marshal.dumps(document))
    assert again == document
    shown = plan.show(launch(again))
    assert all(line and "\n" not in line for line in shown)
    assert f"limit memory: {1 << 20}" in shown
    assert shown[-1] == "run sh as root in /"


def test_privileged_and_host_network() -> None:
    made = launch(only_own_mounts(build(privileged=True)))
    privileged = [type(step).__name__ for step in made["steps"]]
    assert "HostDevices" in privileged
    assert not {"Mask", "ReadOnlyPaths"} & set(privileged)
    shared = launch(only_own_mounts(build(network="host")))
    (unshare,) = (s for s in shared["steps"] if isinstance(s, steps.Unshare))
    assert "network" not in unshare.names
    assert "Sysctl" not in {type(step).__name__ for step in shared["steps"]}


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    document = build(mounts=(Mount(missing, "/x", read_only=False),))
    with pytest.raises(UsageError, match="missing"):
        starting.check_sources(document, "/dir")
