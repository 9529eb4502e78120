"""limpet's own finder takes what the standard loader would take, and nothing else."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from importlib.util import module_from_spec
from pathlib import Path

import pytest

from core.lean_import import Importer, Replaced

ROOT = Path(__file__).parent.parent.parent


def made(tmp_path: Path, text: str = "VALUE = 1\n") -> tuple[Importer, Path]:
    """Return an importer of a tree with one compiled module, and the module's source."""
    folder = tmp_path / "core" / "folder"
    folder.mkdir(parents=True)
    source = folder / "module.py"
    source.write_text(text)
    py_compile.compile(str(source), doraise=True)
    return Importer(str(tmp_path)), source


def test_a_compiled_module_is_run_and_knows_where_it_is_from(tmp_path: Path) -> None:
    importer, source = made(tmp_path)
    spec = importer.find_spec("core.folder.module", [])
    assert spec is not None
    module = module_from_spec(spec)
    importer.exec_module(module)
    assert (module.VALUE, module.__file__) == (1, str(source))
    assert Path(str(spec.cached)).is_file()


def test_another_source_is_left_to_the_standard_finder(tmp_path: Path) -> None:
    importer, source = made(tmp_path)
    facts = source.stat()
    source.write_text("VALUE = 20\n")
    os.utime(source, (facts.st_atime, facts.st_mtime))
    assert importer.find_spec("core.folder.module", []) is None  # another size
    source.write_text("VALUE = 2\n")
    os.utime(source, (facts.st_atime, facts.st_mtime + 2))
    assert importer.find_spec("core.folder.module", []) is None  # another time
    os.utime(source, (facts.st_atime, facts.st_mtime))
    assert importer.find_spec("core.folder.module", []) is not None


def test_a_file_cut_short_or_of_another_interpreter_is_not_taken(tmp_path: Path) -> None:
    importer, source = made(tmp_path)
    compiled = next((source.parent / "__pycache__").iterdir())
    whole = compiled.read_bytes()
    for other in (b"", whole[:12], b"\0\0" + whole[2:], whole[:4] + b"\1" + whole[5:]):
        compiled.write_bytes(other)
        assert importer.find_spec("core.folder.module", []) is None
    compiled.unlink()
    assert importer.find_spec("core.folder.module", []) is None


def test_only_folders_without_code_are_taken(tmp_path: Path) -> None:
    importer, source = made(tmp_path)
    spec = importer.find_spec("core.folder", [])
    assert spec is not None
    assert spec.submodule_search_locations == [str(source.parent)]
    (source.parent / "__init__.py").touch()
    assert importer.find_spec("core.folder", []) is None
    assert importer.find_spec("core.missing", []) is None


def test_what_is_not_limpets_is_not_looked_for(tmp_path: Path) -> None:
    importer, _ = made(tmp_path)
    assert importer.find_spec("json.decoder", []) is None
    assert importer.find_spec("core", None) is None


def test_who_holds_a_release_takes_nothing_of_another(tmp_path: Path) -> None:
    importer, source = made(tmp_path)
    importer.hold()
    assert importer.find_spec("core.folder.module", []) is not None
    facts = source.stat()
    os.utime(source, (facts.st_atime, facts.st_mtime + 2))
    with pytest.raises(Replaced, match=r"core\.folder\.module was replaced"):
        importer.find_spec("core.folder.module", [])
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert importer.find_spec("core.folder.module", []) is not None
    source.unlink()
    with pytest.raises(Replaced):
        importer.find_spec("core.folder.module", [])
    source.parent.rename(tmp_path / "gone")
    with pytest.raises(Replaced):
        importer.find_spec("core.folder", [])
    assert importer.find_spec("core.missing", []) is None


def test_sqlite_is_loaded_without_functools_which_stays_whole() -> None:
    code = """
import sys
sys.path.append(sys.argv[1])
from core import lean_sqlite
assert "functools" not in sys.modules and "collections" not in sys.modules
sql = lean_sqlite.connect(":memory:")
assert [sql.execute("SELECT ?", (n,)).fetchall() for n in (1, 2)] == [[(1,)], [(2,)]]
import functools
assert functools.partial(int, "7")() == 7
import sqlite3
assert sqlite3.connect(":memory:").execute("SELECT 1").fetchone() == (1,)
"""
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(ROOT)], check=True)
