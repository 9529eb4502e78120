"""Images to another host through a real sshd, and in a bundle for a host without a network."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.engine import Engine
from core.errors import Cancelled, HostError, ImageError, NotFound
from core.images.store import ImageStore
from core.paths import Paths
from tests.e2e.command_line import LIMPET
from tests.fixture_images import write_oci_layout
from tests.hostile_registry import layer_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.images.archive.send import Sent

NOISE = random.Random(9).randbytes(2 << 20)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """app:1, and app:2 with one small layer more."""
    place = tmp_path_factory.mktemp("layouts")
    base, more = layer_tar("base", NOISE), layer_tar("more", b"more")
    return [
        write_oci_layout(place / "first", [base]),
        write_oci_layout(place / "second", [base, more]),
    ]


@pytest.fixture
def engine(paths: Paths, layouts: list[Path]) -> Iterator[Engine]:
    engine = Engine(paths, Config())
    for number, layout in enumerate(layouts, 1):
        loaded = engine.archives.load(str(layout)).result()[0]
        engine.store.tag(loaded.image.digest, f"docker.io/library/app:{number}")
    yield engine
    engine.close()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[ImageStore]:
    paths = Paths(str(tmp_path / "far"), str(tmp_path / "far-run"))
    database = Database(paths)
    yield ImageStore(paths, database, Config())
    database.close()


class Host:
    """A real sshd on loopback, with a key for us, and limpet on a store of its own."""

    def __init__(self, place: Path) -> None:
        place.chmod(0o700)
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True
            )
        shutil.copy(place / "user.pub", place / "authorized")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        (place / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nStrictModes no\n"
            f"AuthorizedKeysFile {place}/authorized\nPidFile none\nPermitRootLogin yes\nUsePAM no\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        self._log = (place / "log").open("wb")
        self._server = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(place / "config")], stderr=self._log
        )
        self.options = [
            f"Port={port}", f"IdentityFile={place}/user", "StrictHostKeyChecking=no",
            f"UserKnownHostsFile={place}/known", "IdentitiesOnly=yes",
        ]  # fmt: skip
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)
        raise TimeoutError((place / "log").read_text())

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()
        self._log.close()


@pytest.fixture
def host(tmp_path: Path, isolated: None) -> Iterator[Host]:
    place = tmp_path / "ssh"
    place.mkdir()
    made = Host(place)
    yield made
    made.close()


def program(store: ImageStore) -> str:
    data = store.blobs.path("sha256:" + "0" * 64).partition("/blobs/")[0]
    return f"env LIMPET_DATA_ROOT={data} LIMPET_RUN_ROOT={data}-run {LIMPET}"


def test_only_the_layers_that_are_missing_go(engine: Engine, far: ImageStore, host: Host) -> None:
    def send(*images: str) -> Sent:
        sent: Sent = engine.archives.send(
            images, "root@127.0.0.1", host.options, program(far)
        ).result()
        return sent

    first = send("app:1")
    assert (first.names, first.spared) == (("docker.io/library/app:1",), 0)
    assert first.sent > len(NOISE)
    second = send("app:2")
    assert second.spared == first.sent
    assert 0 < second.sent < 1000
    for tag in ("1", "2"):
        assert far.resolve(f"app:{tag}").digest == engine.store.resolve(f"app:{tag}").digest
        assert far.lowerdirs(far.resolve(f"app:{tag}").digest)
    digest = engine.store.resolve("app:2").digest
    assert send(digest[7:19], "app:1").sent == 0


def test_what_is_in_the_way_is_named(engine: Engine, far: ImageStore, host: Host) -> None:
    with pytest.raises(NotFound):
        engine.archives.send(["absent"], "root@127.0.0.1")
    with pytest.raises(HostError, match="refused") as caught:
        engine.archives.send(["app:1"], "root@127.0.0.1", ["Port=1"]).result()
    assert "ssh-copy-id root@127.0.0.1" in caught.value.hint
    with pytest.raises(HostError, match="not found") as caught:
        engine.archives.send(["app:1"], "root@127.0.0.1", host.options, "no-limpet").result()
    assert "--limpet" in caught.value.hint
    with pytest.raises(HostError, match="no host"):
        engine.archives.send(["app:1"], "-oProxyCommand=true").result()
    with pytest.raises(HostError, match="Welcome"):
        engine.archives.send(["app:1"], "root@127.0.0.1", host.options, "echo Welcome #").result()
    # What goes wrong there is told here.
    blocked = f"env LIMPET_DATA_ROOT=/dev/null/x LIMPET_RUN_ROOT=/dev/null/x {LIMPET}"
    with pytest.raises(HostError, match=r"root@127\.0\.0\.1: .*/dev/null/x"):
        engine.archives.send(["app:1"], "root@127.0.0.1", host.options, blocked).result()


@pytest.mark.parametrize(
    "answers",
    [
        ('{"have": 7}', '{"loaded": 7}'),
        ('{"have": [["x"], 7, null]}', '{"loaded": [["x"], {}]}'),
        ('{"have": {"a": 1}}', "{}"),
    ],
)
def test_odd_answers_of_the_other_host_are_none(
    engine: Engine, tmp_path: Path, answers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    first, last = answers
    ssh.write_text(f"#!/bin/sh\nread line; echo '{first}'; cat > /dev/null; echo '{last}'\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    sent: Sent = engine.archives.send(["app:1"], "far").result()
    assert sent.names == ()
    assert sent.spared == 0


def test_a_cancelled_send_ends_at_once(engine: Engine, host: Host) -> None:
    job = engine.archives.send(["app:1"], "root@127.0.0.1", host.options, "sleep 60;")
    time.sleep(0.3)
    job.cancel()
    assert job.wait(30)
    with pytest.raises(Cancelled):
        job.result()


def test_a_bundle_holds_what_is_new(
    engine: Engine, paths: Paths, far: ImageStore, tmp_path: Path
) -> None:
    def limpet(data: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LIMPET_DATA_ROOT": data, "LIMPET_RUN_ROOT": f"{data}-run"}
        return subprocess.run(
            [LIMPET, *words], env=environment, capture_output=True, text=True, timeout=60
        )

    whole, update = str(tmp_path / "whole.tar"), str(tmp_path / "update.tar")
    assert limpet(paths.data, "image", "bundle", "app:1", "-o", whole).returncode == 0
    since = engine.store.resolve("app:1").digest[:30]
    made = limpet(paths.data, "image", "bundle", "app:2", "--since", since, "-o", update)
    assert made.returncode == 0, made.stderr
    assert os.path.getsize(update) < 20_000 < os.path.getsize(whole)
    with tarfile.open(update) as tar:
        assert "index.json" in tar.getnames()
    far_data = str(tmp_path / "far")
    refused = limpet(far_data, "load", "-i", update)
    assert refused.returncode == ImageError.exit_code
    assert "lacks its layer" in refused.stderr
    assert "image bundle" in refused.stderr
    for name in (whole, update):
        loaded = limpet(far_data, "load", "-i", name)
        assert loaded.returncode == 0, loaded.stderr
    assert far.resolve("app:2").digest == engine.store.resolve("app:2").digest
