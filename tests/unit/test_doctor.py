"""The doctor's findings where they can be had without a sick host."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core import doctor
from core.model import Fact


def test_a_missing_python_prctl_is_a_finding_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "_prctl", None)
    found = doctor._prctl()
    assert not found.ok
    assert "apt install" in found.hint


def test_storage_is_looked_at_before_it_exists(tmp_path: Path) -> None:
    facts = {fact.name: fact for fact in doctor._storage(str(tmp_path / "not/yet/there"))}
    assert str(tmp_path) in facts["storage"].text
    assert facts.keys() == {"storage", "space"}


def test_a_file_system_without_overlay_support_is_named() -> None:
    assert doctor._file_system("/proc") == "proc"


@pytest.mark.parametrize("name", doctor.UNFIT_FILE_SYSTEMS)
def test_unfit_file_systems_are_refused_with_a_remedy(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_file_system", lambda _: name)
    storage: Fact = next(iter(doctor._storage(str(tmp_path))))
    assert not storage.ok
    assert "data_root" in storage.hint
