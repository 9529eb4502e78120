"""What is copied goes to the terminal whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from textual.app import App

from tui.tty.clipboard import MOST_BYTES, copy


class InBrowser(App[None]):
    is_web = True


class ReadOnly(App[None]):
    read_only = True


def test_it_is_taken_whole_or_refused() -> None:
    app = App[None]()
    assert copy(app, "one\ntwo", {}) == "copied 2 lines"
    assert app.clipboard == "one\ntwo"
    assert "tmux" in copy(app, "one", {"TMUX": "/tmp/tmux"})
    whole = "é" * (MOST_BYTES // 2)
    assert copy(app, whole, {}) == "copied 1 line"
    for text in (whole + "é", ""):
        assert "copied" not in copy(app, text, {})
        assert app.clipboard == whole


def test_a_tmux_is_asked_what_it_does_unless_nothing_is_to_be_started(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    tmux = tmp_path / "tmux"
    tmux.write_text(f"#!/bin/sh\necho x >> {asked}\necho on\n")
    tmux.chmod(0o755)
    env = {"TMUX": "/tmp/tmux", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert "set-clipboard" in copy(ReadOnly(), "one", env)
    assert not asked.exists()
    assert copy(App[None](), "one", env) == "copied 1 line"
    assert asked.exists()


def test_a_browser_has_a_clipboard_whatever_its_server_runs_in() -> None:
    assert copy(InBrowser(), "one", {"TMUX": "/tmp/tmux"}) == "copied 1 line"
