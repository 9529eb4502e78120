"""systemd units: what is written, where, and taken away again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from core.errors import HostError, NotFound
from core.paths import Paths
from core.systemd_units import install_unit, remove_unit, unit_name, unit_text

PATHS = Paths("/srv/limpet data", "/run/limpet")


@pytest.mark.parametrize("container", ["", "web"])
def test_systemd_takes_the_unit(container: str, tmp_path: Path) -> None:
    path = tmp_path / unit_name(container)
    path.write_text(unit_text(PATHS, "/bin/true", container))
    if shutil.which("systemd-analyze") is None:
        pytest.skip("this host has no systemd-analyze")
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True
    )
    assert path.name not in ran.stderr, ran.stderr


def test_a_unit_names_command_and_directories() -> None:
    text = unit_text(PATHS, "/opt/lim pet", "web")
    assert 'ExecStart="/opt/lim pet" start web\n' in text
    assert 'ExecStop="/opt/lim pet" stop web\n' in text
    assert 'Environment="LIMPET_DATA_ROOT=/srv/limpet data"\n' in text
    assert 'ExecStop="/opt/lim pet" boot --stop\n' in unit_text(PATHS, "/opt/lim pet", "")


def test_install_enables_and_remove_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        path = install_unit("limpet-web.service", "[Unit]\n", str(tmp_path))
    link = tmp_path / "multi-user.target.wants" / "limpet-web.service"
    assert link.read_text() == Path(path).read_text() == "[Unit]\n"
    remove_unit("limpet-web.service", str(tmp_path))
    assert list(tmp_path.rglob("*.service")) == []
    with pytest.raises(NotFound):
        remove_unit("limpet-web.service", str(tmp_path))


def test_a_host_without_systemd_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no systemd"):
        install_unit("limpet.service", "", str(tmp_path / "none"))
