"""What the documents name is there: files, folders, commands, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.commands import load_all

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([
    *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md",
])  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_and_modules_exist(document: Path) -> None:
    text = document.read_text()
    for path in re.findall(r"`((?:bin|cli|core|docs|tests|tui)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"`core((?:\.[a-z_]+)+)`", text):
        place = ROOT / "core" / module[1:].replace(".", "/")
        inside = place.parent.with_suffix(".py")
        assert (
            place.is_dir()
            or place.with_suffix(".py").is_file()
            or re.search(rf"^(def|class) {place.name}\b", inside.read_text(), re.MULTILINE)
        ), f"core{module}"
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (document.parent / link).exists(), link


def test_modules_that_the_code_names_exist() -> None:
    for folder in ("core", "cli", "tui", "tests", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r"`((?:core|cli|tui|tests)(?:\.\w+)+)`", file.read_text()):
                place = ROOT / name.replace(".", "/")
                found = place, *place.parents[: name.count(".") - 1]
                assert place.is_dir() or any(one.with_suffix(".py").is_file() for one in found), (
                    f"{file}: {name}"
                )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    words = {name for verb in load_all() for name in (verb, verb.partition(" ")[0])}
    own = words | {"shell", "help", "completion", "man", "oci", "serve-web", "limpet"}
    for word in re.findall(r"^    limpet ([a-z-]+)", document.read_text(), re.MULTILINE):
        assert word in own, word
