"""Settings: every key in the example, and errors that name file, key and expectation."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from core.config import SECTIONS, Config, example, load_config
from core.errors import ConfigError

ROOT = Path(__file__).parents[2]


def load(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load_config((str(file),))


def test_the_example_is_what_the_code_says() -> None:
    assert (ROOT / "config.toml.example").read_text() == example()


def test_the_example_uncommented_gives_the_defaults(tmp_path: Path) -> None:
    names = {key.name for keys in SECTIONS.values() for key in keys}
    text = "\n".join(
        line.removeprefix("# ") if line.removeprefix("# ").partition(" = ")[0] in names else line
        for line in example().splitlines()
    )
    tomli.loads(text)
    config = load(tmp_path, text)
    for section, keys in SECTIONS.items():
        for key in keys:
            assert config[section, key.name] == key.default


def test_later_files_win_key_by_key(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text('[network]\nbridge = "one"\nsubnet = "10.1.0.0/16"\n[aliases]\nx = "ps"\n')
    second.write_text('[network]\nbridge = "two"\n[keys]\nf5 = "ps -a"\n')
    config = load_config((str(first), str(tmp_path / "none"), str(second)))
    assert config["network", "bridge"] == "two"
    assert config["network", "subnet"] == "10.1.0.0/16"
    assert config.aliases == {"x": "ps"}
    assert config.keys == {"f5": "ps -a"}
    assert config.files == (str(first), str(second))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[netwrok]\n", r"\[netwrok\]", "did you mean network"),
        ("[network]\nbrige = 'x'\n", r"network\.brige", "did you mean bridge"),
        ("[network]\nbridge = 3\n", r"network\.bridge = 3 must be a string", ""),
        ("[tui]\nmouse = 'yes'\n", "true or false", ""),
        ("[container]\npids_limit = -1\n", "0 or more", ""),
        ("[container]\npids_limit = true\n", "whole number", ""),
        ("[tui]\nrefresh_s = 0\n", "above 0", ""),
        ("[registry]\ninsecure = 'x'\n", "array of strings", ""),
        ("bridge = 'x'\n", "outside a section", "sections are"),
        ("[network\n", "not valid TOML", ""),
    ],
)
def test_errors(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "config.toml") in caught.value.message
    assert hint in caught.value.hint
