"""Images and a registry to test against, made on this machine: no registry of the internet.

A test image is an OCI layout written by hand, so that what limpet reads was not written by
limpet.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile
import time
from pathlib import Path

from tests import isolation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

CACHE = Path("/var/tmp/limpet-tests")
DEBIAN_SUITE = "bookworm"


def debian_rootfs() -> Path:
    """Return a tar of a minimal Debian, made with debootstrap when it is not cached yet.

    Made in about a minute, kept in /var/tmp for the next run.
    """
    CACHE.mkdir(mode=0o755, exist_ok=True)
    made = CACHE / f"debian-{DEBIAN_SUITE}.tar"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            half = made.with_suffix(".new")
            root = CACHE / "rootfs"
            subprocess.run(["rm", "-rf", str(root)], check=True)
            command = ["debootstrap", "--variant=minbase", DEBIAN_SUITE, str(root)]
            subprocess.run(isolation.on_host_network(command), check=True, stdout=2)
            subprocess.run(
                ["tar", "--numeric-owner", "--xattrs", "--one-file-system", "-cf", str(half),
                 "-C", str(root), "--exclude=./var/cache/apt/archives/*.deb", "."],
                check=True,
            )  # fmt: skip
            subprocess.run(["rm", "-rf", str(root)], check=True)
            half.rename(made)
    return made


def busybox_rootfs() -> bytes:
    """Return a tar of a root with busybox-static's programs as links, and users to switch to."""
    buffer = io.BytesIO()
    program = Path("/bin/busybox").read_bytes()
    applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for directory in ("bin", "dev", "etc", "proc", "sys", "tmp", "root", "var"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            tar.addfile(entry)
        files = {
            "bin/busybox": program,
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n",
            "etc/group": b"root:x:0:\nuser:x:1000:\n",
        }
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(entry, io.BytesIO(content))
        for applet in applets.stdout.split():
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return buffer.getvalue()


def write_oci_layout(
    directory: Path,
    layers: Sequence[bytes | Path],
    config: dict[str, Any] | None = None,
    *,
    history: bool = False,
) -> Path:
    """Write an OCI image layout, tag `latest`, of uncompressed layer tars; return its path.

    `config` is the image config's `config` object (Cmd, Env, …); buildah builds only on images
    with a `history`.
    """
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def store(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        kind = f"application/vnd.oci.image.{media_type}"
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    tars = [layer if isinstance(layer, bytes) else layer.read_bytes() for layer in layers]
    described = [store(gzip.compress(tar, 6, mtime=0), "layer.v1.tar+gzip") for tar in tars]
    image: dict[str, Any] = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": config or {"Cmd": ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars],
        },
    }
    if history:
        image["history"] = [{"created_by": "made for a test"} for _ in tars]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": store(json.dumps(image).encode(), "config.v1+json"),
        "layers": described,
    }
    entry = store(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def make_certificate(directory: Path) -> dict[str, str]:
    """Make a self-signed certificate for 127.0.0.1; return the files as docker-registry wants."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return {"certificate": str(certificate), "key": str(key)}


class Registry:
    """docker-registry on a free loopback port, keeping its content under `directory`.

    With `tls` it has a certificate of its own, `directory/certificate.pem`.
    """

    def __init__(
        self, directory: Path, username: str = "", password: str = "", *, tls: bool = False
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(directory / "content")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.host},
        }
        if username:
            hashed = subprocess.run(
                ["htpasswd", "-Bbn", username, password], capture_output=True, text=True, check=True
            )
            (directory / "htpasswd").write_text(hashed.stdout)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
        if tls:
            config["http"]["tls"] = make_certificate(directory)
        written = directory / "config.json"
        written.write_text(json.dumps(config))  # JSON is YAML
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(written)], stdout=log, stderr=log, cwd=directory
            )
        self._log = directory / "log"
        self._wait()

    def _wait(self) -> None:
        for _ in range(500):
            if self._process.poll() is not None:
                raise RuntimeError(f"docker-registry ended: {self._log.read_text()[-500:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionRefusedError:
                time.sleep(0.01)
            else:
                return
        raise TimeoutError("docker-registry did not answer within 5 s")

    def push(self, layout: Path, name: str) -> str:
        """Push an OCI layout's `latest` with skopeo; return the reference that pulls it."""
        to = f"docker://{self.host}/{name}"
        subprocess.run(
            ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:latest", to],
            check=True,
        )
        return f"{self.host}/{name}"

    def delete(self, path: str, tag: str) -> None:
        """Delete what a tag stands for; its blobs stay in the repository."""
        subprocess.run(
            ["skopeo", "delete", "--tls-verify=false", f"docker://{self.host}/{path}:{tag}"],
            check=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
