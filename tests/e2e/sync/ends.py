"""What rules of a sync are made of, and what is looked at after one."""

from __future__ import annotations

import json
import random
from pathlib import Path

from core.config import Config
from core.images.store import ImageStore
from core.jobs import Job
from core.registry.sync.plan import SyncPlan
from core.registry.sync.rules import read_rules
from core.registry.sync.runs import Report, plan_rules, run_rules
from tests.e2e.command_line import run
from tests.fixture_images import Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


NOISE = random.Random(8).randbytes(3 << 20)
ARM = "linux/s390x"


def push_index(registry: Registry, name: str, parts: list[str]) -> None:
    """Push one index of images that are in the registry."""
    import http.client

    connection = http.client.HTTPConnection(registry.host, timeout=10)

    def ask(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        connection.request(method, f"/v2/{path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content
        return content

    entries = []
    path, _, tag = name.partition(":")
    for part in parts:
        repository, _, name_of = part.partition(":")
        kind = "application/vnd.oci.image.manifest.v1+json"
        content = ask("GET", f"{repository}/manifests/{name_of}", Accept=kind)
        manifest = json.loads(content)
        for blob in (manifest["config"], *manifest["layers"]):
            ask("POST", f"{path}/blobs/uploads/?mount={blob['digest']}&from={repository}")
        import hashlib

        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        ask("PUT", f"{path}/manifests/{digest}", content, **{"Content-Type": kind})
        config = json.loads(ask("GET", f"{repository}/blobs/{manifest['config']['digest']}"))
        entries.append(
            {"mediaType": kind, "digest": digest, "size": len(content),
             "platform": {"os": "linux", "architecture": config["architecture"]}}
        )  # fmt: skip
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    ask("PUT", f"{path}/manifests/{tag}", index, **{"Content-Type": kind})
    connection.close()


def rule(source: str, target: str, **keys: Any) -> Config:
    return Config(sync=({"name": "test", "from": source, "to": target, **keys},))


def config_of(config: Config, **keys: Any) -> Config:
    """Return the rule with other criteria."""
    return Config(sync=({**config.sync[0], **keys},))


def sync(store: ImageStore, config: Config) -> Report:
    reports = run_rules(store, config, read_rules(config), Job(1, "sync"))
    if reports[0].failure:
        raise reports[0].failure
    return reports[0]


def plan(store: ImageStore, config: Config) -> SyncPlan:
    return plan_rules(store, config, read_rules(config), Job(1, "plan"))[0]


def actions(report: Report | SyncPlan) -> dict[str, str]:
    return {step.target.rpartition(":")[2]: step.action for step in report.steps}


def digest(name: str) -> str:
    found = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    import hashlib

    return f"sha256:{hashlib.sha256(found.encode()).hexdigest()}"


def check_whole(name: str, place: Path, *options: str) -> None:
    """skopeo checks every blob's digest as it copies."""
    run("skopeo", "copy", "-q", "--src-tls-verify=false", *options, f"docker://{name}",
        f"dir:{place}")  # fmt: skip


def cut_answer(handler: Any) -> None:
    """Pass the request on and hang up in the middle of the answer."""
    import http.client
    import socket

    far = http.client.HTTPConnection("127.0.0.1", handler.proxy.port, timeout=10)
    headers = {name: value for name, value in handler.headers.items() if name != "Host"}
    far.request(handler.command, handler.path, headers=headers)
    answer = far.getresponse()
    body = answer.read()
    far.close()
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
