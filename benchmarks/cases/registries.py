"""Pushing, keeping registries alike, and serving: beside podman, skopeo and docker-registry."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cases.pulling import debian_layers
from benchmarks.measure import Aim, Case, Measurement, interleave, run
from tests.fixture_images import Registry, write_oci_layout
from tests.hostile_registry import layer_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bench_host import BenchHost

TAGS = 100
BLOB_BYTES = 500 << 20
CLIENTS = 50
TYPE = "application/vnd.oci.image"


def push(host: BenchHost, rounds: int) -> Measurement:
    """Push an image of seven layers into a registry that has nothing yet."""
    layers: list[bytes | Path] = [
        *debian_layers(host),
        *(_shifted(host.debian, by) for by in (85, 170, 213)),
    ]
    layout = write_oci_layout(host.work / "pushed", layers)
    reference = host.registry.push(layout, "pushed:latest")
    run(host.limpet("pull", reference), host.env)
    run(host.podman("pull", "-q", "--tls-verify=false", reference), host.podman_env)

    def into_empty(argv: Sequence[str], env: dict[str, str]) -> float:
        place = host.work / "empty"
        with Registry(place) as registry:
            words = [word.replace("TARGET", f"{registry.host}/pushed:1") for word in argv]
            start = time.perf_counter()
            run(words, env)
            seconds = time.perf_counter() - start
        shutil.rmtree(place)
        return seconds

    limpet = host.limpet("push", "-q", reference, "TARGET")
    podman = host.podman("push", "-q", "--tls-verify=false", reference, "TARGET")
    skopeo = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:latest",
              "docker://TARGET"]  # fmt: skip
    cases = [
        Case("limpet", lambda: into_empty(limpet, host.env)),
        Case("podman", lambda: into_empty(podman, host.podman_env)),
        Case("skopeo", lambda: into_empty(skopeo, host.podman_env)),
    ]
    size = sum(blob.stat().st_size for blob in (layout / "blobs/sha256").iterdir())
    note = f"{size / 1e6:.0f} MB gzip, docker-registry made anew for each push."
    aims = [Aim("limpet", "podman", 0.2), Aim("limpet", "skopeo", 1.1)]
    return interleave("`push` into an empty registry", cases, max(3, rounds // 4), note, aims)


def _shifted(rootfs: Path, by: int) -> bytes:
    """Return a layer of one file: Debian with every byte another, which compresses as well."""
    table = bytes((value + by) % 256 for value in range(256))
    return layer_tar(f"shifted-{by}", rootfs.read_bytes().translate(table))


def sync(host: BenchHost, rounds: int) -> Measurement:
    """Compare a repository of a hundred tags that is copied already."""
    _publish(host.registry.host, "many", TAGS)
    with Registry(host.work / "mirror") as mirror:
        config = host.work / "sync.toml"
        config.write_text(
            f'[[sync]]\nname = "many"\nfrom = "{host.registry.host}/many"\n'
            f'to = "{mirror.host}/limpet/many"\n'
        )
        env = {**host.env, "LIMPET_CONFIG": str(config)}
        limpet = host.limpet("sync")
        skopeo = ["skopeo", "sync", "--src", "docker", "--dest", "docker",
                  "--src-tls-verify=false", "--dest-tls-verify=false",
                  f"{host.registry.host}/many", f"{mirror.host}/skopeo"]  # fmt: skip
        run(limpet, env)
        run(skopeo, host.podman_env)

        def timed(argv: Sequence[str], env: dict[str, str]) -> float:
            start = time.perf_counter()
            run(argv, env)
            return time.perf_counter() - start

        cases = [
            Case("limpet", lambda: timed(limpet, env)),
            Case("skopeo", lambda: timed(skopeo, host.podman_env)),
        ]
        note = f"{TAGS} tags of as many images, nothing new; the whole process."
        aims = [Aim("limpet", "skopeo", 0.25)]
        return interleave("`sync` with nothing to do", cases, max(5, rounds // 2), note, aims)


def serve(host: BenchHost, rounds: int) -> Measurement:
    """Send one blob of 500 MB to one client."""
    return _serving(host, 1, max(5, rounds // 2))


def serve_many(host: BenchHost, rounds: int) -> Measurement:
    """Send one blob of 500 MB to fifty clients at once."""
    return _serving(host, CLIENTS, max(3, rounds // 10))


def _serving(host: BenchHost, clients: int, rounds: int) -> Measurement:
    blob = random.Random(2).randbytes(1 << 20) * (BLOB_BYTES >> 20)
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    with Registry(host.work / f"served-{clients}") as docker, _own(host) as (own, server):
        for address in (own, docker.host):
            _ask(address, "POST", "/v2/blob/blobs/uploads/", digest, blob)
        before = _memory(server)

        def fetch(address: str) -> float:
            url = f"http://{address}/v2/blob/blobs/{digest}"
            start = time.perf_counter()
            running = [
                subprocess.Popen(["curl", "-sf", "-o", "/dev/null", url]) for _ in range(clients)
            ]
            if sum(one.wait() != 0 for one in running):
                raise RuntimeError(f"{address} did not send all of it")
            return time.perf_counter() - start

        cases = [
            Case("limpet", lambda: fetch(own)), Case("docker-registry", lambda: fetch(docker.host))
        ]  # fmt: skip
        title = f"`registry serve`, 500 MB to {clients} client{'s' * (clients > 1)}"
        aims = [Aim("limpet", "docker-registry", 2.0)]
        measured = interleave(title, cases, rounds, aims=aims)
        grown = (_memory(server) - before) / 1e6
    shutil.rmtree(host.work / f"served-{clients}")
    rate = clients * BLOB_BYTES / measured.rows[0].median / 1e9
    note = f"curl on the same two processors; {rate:.1f} GB/s; the server grew by {grown:.1f} MB."
    return measured.replace(note=note)


@contextmanager
def _own(host: BenchHost) -> Iterator[tuple[str, int]]:
    """Serve limpet's store; yields the address and the process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen(
        host.limpet("registry", "serve", "-a", address), env=host.limpet_env(host.work / "serve"),
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        server.stderr.readline()
        yield address, server.pid
    finally:
        server.kill()
        server.communicate()
        shutil.rmtree(host.work / "serve", ignore_errors=True)


def _memory(process: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def _publish(address: str, repository: str, count: int) -> None:
    """Put so many small images into a registry, a tag each."""
    layer = os.urandom(1000)
    path = f"/v2/{repository}"
    layer_digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    _ask(address, "POST", f"{path}/blobs/uploads/", layer_digest, layer)
    for number in range(count):
        rootfs = {"type": "layers", "diff_ids": [layer_digest]}
        facts = {"os": "linux", "architecture": "amd64", "number": number, "rootfs": rootfs}
        config = json.dumps(facts).encode()
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        _ask(address, "POST", f"{path}/blobs/uploads/", digest, config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{TYPE}.manifest.v1+json",
            "config": {"mediaType": f"{TYPE}.config.v1+json", "digest": digest,
                       "size": len(config)},
            "layers": [{"mediaType": f"{TYPE}.layer.v1.tar", "digest": layer_digest,
                        "size": len(layer)}],
        }  # fmt: skip
        _ask(address, "PUT", f"{path}/manifests/1.{number}", "", json.dumps(manifest).encode())


def _ask(address: str, method: str, path: str, digest: str, body: bytes) -> None:
    """Send a manifest, or with a digest a blob in two requests."""
    connection = http.client.HTTPConnection(address, timeout=120)
    headers = {"Content-Type": f"{TYPE}.manifest.v1+json"}
    if digest:
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        method, path = "PUT", answer.headers["Location"]
        path += f"{'&' if '?' in path else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"{method} {path}: {answer.status} {said[:200]!r}")
