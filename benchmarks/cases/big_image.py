"""A big image brought in, out, and made: pull, save and load, commit and push."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tarfile
import threading
import time
from pathlib import Path

from benchmarks import dockerd
from benchmarks.cases.pulling import fresh_filesystem
from benchmarks.measure import Aim, Case, Failure, Figure, Figures, interleave, run
from tests.fixture_images import write_oci_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Measurement

COPIES = 4
"""Debian's tree so many times, each cut in two: eight layers of 32,000 entries, 700 MB."""
SAMPLE_S = 0.01


def big(host: BenchHost) -> tuple[Path, str]:
    """Return the layout of the big image and the reference it has in the registry."""
    layout = host.work / "big"
    reference = f"{host.registry.host}/big:latest"
    if not layout.exists():
        tars = _cut(host.debian, host.work)
        write_oci_layout(layout, tars)
        host.registry.push(layout, "big:latest")
        for tar in tars:
            tar.unlink()
    return layout, reference


def _cut(rootfs: Path, work: Path) -> list[Path]:
    """Write the tree COPIES times under different names, every copy as two layers."""
    places = []
    for copy in range(COPIES):
        pair = [work / f"big-{copy}-{half}.tar" for half in (0, 1)]
        places += pair
        outputs = [tarfile.open(place, "w") for place in pair]  # noqa: SIM115 - closed below
        homes: dict[str, int] = {}
        with tarfile.open(rootfs) as source:
            for number, entry in enumerate(source):
                home = homes[entry.linkname] if entry.islnk() else number % 2
                homes[entry.name] = home
                content = source.extractfile(entry) if entry.isreg() else None
                entry.name = f"copy-{copy}/{entry.name.removeprefix('./')}"
                if entry.islnk():
                    entry.linkname = f"copy-{copy}/{entry.linkname.removeprefix('./')}"
                outputs[home].addfile(entry, content)
        for output in outputs:
            output.close()
    return places


def pull_big(host: BenchHost, rounds: int) -> Measurement:
    """Pull the big image, gzip and zstd, beside podman, dockerd, and skopeo with umoci."""
    layout, reference = big(host)
    zstd = _as_zstd(layout, reference.replace("big:", "big-zstd:"))

    def limpet(name: str) -> float:
        with fresh_filesystem(host.work) as place:
            return _timed(host.limpet("pull", name), host.limpet_env(place))

    def podman() -> float:
        with fresh_filesystem(host.work) as place:
            argv = host.podman("pull", "-q", "--tls-verify=false", reference, root=place)
            return _timed(argv, host.podman_env)

    def umoci() -> float:
        with fresh_filesystem(host.work) as place:
            copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}",
                    f"oci:{place}/layout:big"]  # fmt: skip
            unpack = ["umoci", "unpack", "--image", f"{place}/layout:big", f"{place}/bundle"]
            return _timed(copy, host.podman_env) + _timed(unpack, host.podman_env)

    def docker() -> float:
        with fresh_filesystem(host.work) as place, dockerd.Dockerd(place / "docker") as peer:
            return peer.pull(reference)

    cases = [
        Case("limpet", lambda: limpet(reference)),
        Case("podman", podman),
        Case("skopeo + umoci", umoci),
        Case("limpet, zstd", lambda: limpet(zstd)),
    ]
    size = sum(blob.stat().st_size for blob in (layout / "blobs/sha256").iterdir())
    note = f"{size / 1e6:.0f} MB gzip, 8 layers; ext4 in a file on tmpfs made anew for each pull."
    aims = [
        Aim("limpet", "podman", 0.28), Aim("limpet", "skopeo + umoci", 0.22),
        Aim("limpet, zstd", "limpet", 1.0),
    ]  # fmt: skip
    if dockerd.is_here():
        cases.insert(2, Case("dockerd", docker))
        aims.insert(1, Aim("limpet", "dockerd", 0.28))
    return interleave("`pull` of a big image, cold", cases, max(5, rounds // 4), note, aims)


def _as_zstd(layout: Path, reference: str) -> str:
    """Push the image of a layout with zstd layers; returns the reference.

    By way of a second layout: what is gzip already, skopeo pushes as it is, whatever it is told.
    """
    packed = layout.with_name("big-zstd")
    run(["skopeo", "copy", "-q", "--dest-compress", "--dest-compress-format", "zstd",
         "--dest-compress-level", "3", f"oci:{layout}:latest", f"oci:{packed}:latest"])  # fmt: skip
    run(["skopeo", "copy", "-q", "--dest-tls-verify=false", "--preserve-digests",
         f"oci:{packed}:latest", f"docker://{reference}"])  # fmt: skip
    manifest = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"])
    kinds = {layer["mediaType"] for layer in json.loads(manifest)["layers"]}
    if not all(kind.endswith("+zstd") for kind in kinds):
        raise Failure(f"{reference} is no zstd image: {kinds}")
    shutil.rmtree(packed)
    return reference


def pull_memory(host: BenchHost, rounds: int) -> Figures:
    """Measure what all processes of a pull hold together at most."""
    _, reference = big(host)
    peaks = []
    for _ in range(max(2, rounds // 10)):
        with fresh_filesystem(host.work) as place:
            peaks.append(_peak(host.limpet("pull", reference), host.limpet_env(place)))
    note = "Proportional set size of all its processes, read every 10 ms."
    return Figures("Memory of `pull`, big image",
                   note, (Figure("peak", max(peaks) / 1e6, "MB", 150),))  # fmt: skip


def save_load(host: BenchHost, rounds: int) -> Measurement:
    """Save the big image to a file and load it into an empty store, beside podman."""
    _, reference = big(host)
    run(host.limpet("pull", reference), host.env)
    run(host.podman("pull", "-q", "--tls-verify=false", reference), host.podman_env)
    archives = {"limpet": host.work / "limpet.tar", "podman": host.work / "podman.tar"}

    def limpet() -> float:
        archives["limpet"].unlink(missing_ok=True)
        return _timed(host.limpet("save", "-o", str(archives["limpet"]), reference), host.env)

    def podman() -> float:
        archives["podman"].unlink(missing_ok=True)
        argv = host.podman("save", "-q", "-o", str(archives["podman"]), reference)
        return _timed(argv, host.podman_env)

    def load_limpet() -> float:
        with fresh_filesystem(host.work) as place:
            argv = host.limpet("load", "-i", str(archives["limpet"]))
            return _timed(argv, host.limpet_env(place))

    def load_foreign() -> float:
        with fresh_filesystem(host.work) as place:
            argv = host.limpet("load", "-i", str(archives["podman"]))
            return _timed(argv, host.limpet_env(place))

    def load_podman() -> float:
        with fresh_filesystem(host.work) as place:
            argv = host.podman("load", "-q", "-i", str(archives["podman"]), root=place)
            return _timed(argv, host.podman_env)

    limpet(), podman()
    both = [
        Case("limpet save + load", lambda: limpet() + load_limpet()),
        Case("podman save + load", lambda: podman() + load_podman()),
        Case("limpet save", limpet),
        Case("podman save", podman),
        Case("limpet load of its own", load_limpet),
        Case("limpet load of podman's", load_foreign),
        Case("podman load of its own", load_podman),
    ]
    note = "podman's archive is not compressed, limpet's has the layers as they were pulled."
    aims = [
        Aim("limpet save + load", "podman save + load", 0.8),
        Aim("limpet save", "podman save", 0.8),
        Aim("limpet load of its own", "podman load of its own", 0.8),
        Aim("limpet load of podman's", "podman load of its own", 0.8),
    ]  # fmt: skip
    return interleave("`save` and `load` of a big image", both, max(3, rounds // 7), note, aims)


def commit_push(host: BenchHost, rounds: int) -> Measurement:
    """Make an image of a container with 350 MB of changes and push it."""
    files = host.work / "changes"
    for copy in range(2):
        (files / f"copy-{copy}").mkdir(parents=True)
        run(["tar", "-xf", str(host.debian), "-C", str(files / f"copy-{copy}")])
    counter = itertools.count()

    def change(place: Path) -> str:
        """Write the changes, and a file that makes the layer new to the registry."""
        run(["cp", "-a", str(files), str(place / "new")])
        number = next(counter)
        (place / "round").write_text(str(number))
        return f"{host.registry.host}/made:{number}"

    def limpet() -> float:
        with fresh_filesystem(host.work) as place:
            env = host.limpet_env(place)
            run(host.limpet("pull", host.busybox), env)
            create = host.limpet("create", "--network", "none", host.busybox, "true")
            name = run(create, env).strip()
            target = change(place / "data/containers" / name / "upper")
            first = _timed(host.limpet("commit", name, target), env)
            return first + _timed(host.limpet("push", target), env)

    def peers() -> float:
        with fresh_filesystem(host.work) as place:
            buildah = ["buildah", "--root", f"{place}/root", "--runroot", f"{place}/run",
                       "--storage-driver", "overlay"]  # fmt: skip
            source = ["from", "--tls-verify=false", host.busybox]
            name = run([*buildah, *source], host.podman_env).splitlines()[-1].strip()
            mounted = run([*buildah, "mount", name], host.podman_env).strip()
            target = change(Path(mounted))
            first = _timed([*buildah, "commit", "-q", name, target], host.podman_env)
            push = host.podman("push", "-q", "--tls-verify=false", target, root=place)
            second = _timed(push, host.podman_env)
            run([*buildah, "umount", name], host.podman_env)
            return first + second

    cases = [Case("limpet commit + push", limpet), Case("buildah commit + podman push", peers)]
    note = "A container with 350 MB of new files, on a new ext4 each time."
    try:
        aims = [Aim("limpet commit + push", "buildah commit + podman push", 0.3)]
        return interleave("`commit` and `push`", cases, max(3, rounds // 5), note, aims)
    finally:
        shutil.rmtree(files)


def _timed(argv: list[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    run(argv, env)
    return time.perf_counter() - start


def _peak(argv: list[str], env: dict[str, str]) -> float:
    """Run a command and return the most bytes that its session's processes held together."""
    import subprocess

    child = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_S):
            peak = max(peak, sum(map(_pss, _session(child.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    child.wait()
    done.set()
    watcher.join()
    return peak


def _session(leader: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == leader:
                found.append(int(name))
        except ProcessLookupError:
            continue
    return found


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ProcessLookupError):
        pass
    return 0
