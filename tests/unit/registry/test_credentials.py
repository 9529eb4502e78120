"""Credentials where docker keeps them: its file, and helper programs."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from core.errors import ConfigError, NotFound, UsageError
from core.registry import credentials
from core.registry.credentials import Credentials, find_credentials, known_users, logout

SECRET = "s3cret"
AUTH = base64.b64encode(f"me:{SECRET}".encode()).decode()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker/config.json"


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper that keeps one secret in a file beside it."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "docker-credential-test"
    kept = tmp_path / "kept"
    program.write_text(
        "#!/bin/sh\n"
        f'case $1 in get) read host; [ "$host" = "$(cat {kept}.host 2>/dev/null)" ] ||'
        ' { echo "credentials not found in native keychain"; exit 1; }\n'
        f'  echo "{{\\"Username\\": \\"me\\", \\"Secret\\": \\"{SECRET}\\"}}";;\n'
        f"store) cat > {kept};; erase) rm -f {kept}.host;; esac\n"
    )
    program.chmod(0o755)
    return kept


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("r.example.org", "r.example.org"),
        ("r.example.org:5000", "r.example.org:5000"),
        ("https://r.example.org", "r.example.org"),
        ("https://r.example.org/v1/", "r.example.org"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_keys_of_the_file(file: Path, key: str, host: str) -> None:
    file.write_text(json.dumps({"auths": {key: {"auth": AUTH}}}))
    assert find_credentials(host) == Credentials("me", SECRET)
    assert find_credentials("other.example.org") is None
    assert known_users() == {host: "me"}


def test_no_file_is_no_credentials(file: Path) -> None:
    assert find_credentials("r.example.org") is None
    assert known_users() == {}


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{", '{"auths": []}', '{"credHelpers": 1}', '{"credsStore": "../x"}',
        '{"auths": {"a.b": {"auth": "%%%"}}}', '{"auths": {"a.b": {"auth": "bm9jb2xvbg=="}}}',
        '{"auths": {"a.b": {"auth": 7}}}', '{"credsStore": "missing"}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_a_config_error(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        find_credentials("a.b")
    assert str(file) in caught.value.message


def test_secrets_are_in_no_message_and_no_repr(file: Path) -> None:
    file.write_text('{"auths": {"a.b": {"auth": "' + AUTH + '"}')
    with pytest.raises(ConfigError) as caught:
        find_credentials("a.b")
    assert AUTH not in str(caught.value)
    assert SECRET not in repr(Credentials("me", SECRET))


def test_helper_of_one_registry(file: Path, helper: Path) -> None:
    file.write_text(json.dumps({"credHelpers": {"a.b": "test"}, "auths": {"c.d": {"auth": AUTH}}}))
    assert find_credentials("a.b") is None
    Path(f"{helper}.host").write_text("a.b")
    assert find_credentials("a.b") == Credentials("me", SECRET)
    assert find_credentials("c.d") == Credentials("me", SECRET)
    assert known_users() == {"a.b": "", "c.d": "me"}


def test_helper_of_all_registries(file: Path, helper: Path) -> None:
    file.write_text('{"credsStore": "test"}')
    Path(f"{helper}.host").write_text("https://index.docker.io/v1/")
    assert find_credentials("docker.io") == Credentials("me", SECRET)
    logout("docker.io")
    assert find_credentials("docker.io") is None


def test_store_keeps_the_rest_and_is_private(file: Path) -> None:
    file.write_text(json.dumps({"HttpHeaders": {"a": "b"}, "auths": {"https://a.b/v1/": {}}}))
    file.chmod(0o644)
    credentials._store("a.b", Credentials("me", SECRET))
    written = json.loads(file.read_text())
    assert written == {"HttpHeaders": {"a": "b"}, "auths": {"a.b": {"auth": AUTH}}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_store_through_a_helper_leaves_no_secret_in_the_file(file: Path, helper: Path) -> None:
    file.write_text('{"credsStore": "test"}')
    credentials._store("a.b", Credentials("me", SECRET))
    assert json.loads(helper.read_text())["Secret"] == SECRET
    assert SECRET not in file.read_text()
    assert AUTH not in file.read_text()


def test_store_follows_a_symbolic_link(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    file.symlink_to(real)
    credentials._store("a.b", Credentials("me", SECRET))
    assert file.is_symlink()
    assert find_credentials("a.b") == Credentials("me", SECRET)


def test_logout_takes_every_spelling(file: Path) -> None:
    file.write_text(json.dumps({"auths": {"a.b": {"auth": AUTH}, "https://a.b/": {}, "c.d": {}}}))
    logout("https://a.b")
    assert json.loads(file.read_text())["auths"] == {"c.d": {}}
    with pytest.raises(NotFound):
        logout("a.b")
    with pytest.raises(UsageError):
        logout("no host")


def test_an_unwritable_place_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", "/proc/nowhere")
    with pytest.raises(ConfigError, match="cannot be written"):
        credentials._store("a.b", Credentials("me", SECRET))
