"""Uploads to a registry that loses them, and what it does not let a client take back."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ProtocolError
from core.images.manifest import OCI_LAYER, Descriptor
from core.registry import upload
from core.registry.upload import Upload, mount_blob
from tests.e2e.registry_faults.asking import make_client
from tests.hostile_registry import Handler, HostileRegistry, digest_of

CONTENT = b"0123456789" * 10
PART = 40


@pytest.fixture(autouse=True)
def with_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        monkeypatch.setattr(Handler, f"do_{method}", Handler.do_GET, raising=False)


def test_an_upload_that_is_lost_again_and_again_is_given_up(
    registry: HostileRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers behind one name that do not share uploads: each knows only its own part."""
    monkeypatch.setattr(upload, "PART", PART)
    file = tmp_path / "blob"
    file.write_bytes(CONTENT)
    begun = 0

    def rule(handler: Handler) -> None:
        nonlocal begun
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if handler.command == "POST":
            begun += 1
            assert begun < 20, "it goes on for ever"
            handler.answer(202, b"", {"Location": f"/v2/app/blobs/uploads/{begun}"})
        elif handler.command == "PATCH" and handler.headers["Content-Range"].startswith("0-"):
            handler.answer(202, b"", {"Location": handler.path})
        else:
            handler.answer(404)

    registry.rules[""] = rule
    blob = Descriptor(OCI_LAYER, digest_of(CONTENT), len(CONTENT))
    with make_client(registry) as client, pytest.raises(ProtocolError, match="is not there"):
        Upload(client, "app", blob, str(file), lambda *_: None, lambda: None).run()


@pytest.mark.parametrize("status", [401, 403, 400, 500])
def test_an_upload_that_cannot_be_cancelled_is_left(registry: HostileRegistry, status: int) -> None:
    """docker's registry wants the right to delete for it, which no push asks for."""

    def rule(handler: Handler) -> None:
        if handler.command == "POST":
            handler.answer(202, b"", {"Location": "/v2/app/blobs/uploads/1"})
        else:
            handler.answer(status)

    registry.rules["1"] = registry.rules["from=other"] = rule
    digest = digest_of(CONTENT)
    with make_client(registry) as client:
        assert not mount_blob(client, "app", digest, "other")
    assert registry.asked("/uploads/1")
