"""What is done to a registry that limpet serves, and looked at in its place."""

from __future__ import annotations

import random
from pathlib import Path

from core.config import Config
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.pull import pull
from core.registry_server.blobs import ServedBlobs
from core.registry_server.garbage import Collected, collect
from tests.e2e.command_line import run
from tests.own_registry import OwnRegistry

NOISE = random.Random(7).randbytes(3 << 20)
INSECURE = "--tls-verify=false"


def copy_in(layout: Path, name: str, *options: str) -> None:
    run("skopeo", "copy", "-q", "--dest-tls-verify=false", *options,
        f"oci:{layout}:latest", f"docker://{name}")  # fmt: skip


def do_pull(store: ImageStore, name: str) -> str:
    return pull(store, Config(), parse_reference(name), "", Job(1, "pull")).digest


def blob_files(paths: Paths) -> set[str]:
    return {file.name for file in Path(paths.blobs).glob("*/*")}


def sweep(registry: OwnRegistry, keep_s: float = 0, *, untagged: bool = True) -> Collected:
    store = registry.store
    try:
        return collect(
            registry.paths,
            store.database,
            ServedBlobs(store.blobs, store.database),
            untagged=untagged,
            keep_s=keep_s,
        )
    finally:
        store.database.close()
