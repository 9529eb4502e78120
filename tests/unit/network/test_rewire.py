"""Changes of a container's networks that come too late."""

from __future__ import annotations

import subprocess
from pathlib import Path

from core.network.attachment import rewire


def test_a_container_that_has_just_ended_has_the_change_in_its_next_run(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    plug = {"device": "veth0", "inside": "eth0"}
    change = {
        "container": "a", "plug": plug, "member": None, "unplug": None, "main": {},
        "routes": {"inside": "eth0", "gateway": "10.0.0.1", "gateway6": ""},
        "zones": (str(tmp_path), str(tmp_path)),
    }  # fmt: skip
    after = rewire.apply(ended.pid, {"table": "", "attachments": []}, (), change)
    assert after["attachments"] == [plug]
