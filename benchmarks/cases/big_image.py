"""A big image brought in, out, and made: pull, save and load, commit and push."""

from __future__ import annotations

import itertools
import os
import shutil
import tarfile
import threading
import time
from pathlib import Path

from benchmarks.cases.pulling import fresh_filesystem
from benchmarks.measure import Case, Figure, Figures, interleave, run
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
    """Pull the big image, gzip and zstd, beside podman and skopeo with umoci."""
    layout, reference = big(host)
    zstd = reference.replace("big:", "big-zstd:")
    run(["skopeo", "copy", "-q", "--dest-tls-verify=false", "--dest-compress-format", "zstd",
         "--dest-compress-level", "3", f"oci:{layout}:latest", f"docker://{zstd}"])  # fmt: skip

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

    cases = [
        Case("limpet", lambda: limpet(reference)),
        Case("podman", podman),
        Case("skopeo + umoci", umoci),
        Case("limpet, zstd", lambda: limpet(zstd)),
    ]
    size = sum(blob.stat().st_size for blob in (layout / "blobs/sha256").iterdir())
    note = f"{size / 1e6:.0f} MB gzip, 8 layers; ext4 in a file on tmpfs made anew for each pull."
    return interleave("`pull` of a big image, cold", cases, max(3, rounds // 5), note)


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
    return interleave("`save` and `load` of a big image", both, max(3, rounds // 7), note)


def commit_push(host: BenchHost, rounds: int) -> Measurement:
    """Make an image of a container with 350 MB of changes and push it."""
    files = host.work / "changes"
    files.mkdir()
    with tarfile.open(host.debian) as source:
        for copy in range(2):
            source.extractall(files / f"copy-{copy}", filter="fully_trusted")
    counter = itertools.count()
    image = host.limpet_image
    name = run(host.limpet("create", "--network", "none", image, "true"), host.env).strip()
    upper = Path(host.env["LIMPET_DATA_ROOT"]) / "containers" / name / "upper"
    shutil.copytree(files, upper / "new", symlinks=True)
    buildah = ["buildah", "--root", f"{host.work}/podman/root", "--runroot",
               f"{host.work}/podman/run", "--storage-driver", "overlay"]  # fmt: skip
    base = host.podman_image
    other = run([*buildah, "from", base], host.podman_env).strip()
    mounted = Path(run([*buildah, "mount", other], host.podman_env).strip())
    shutil.copytree(files, mounted / "new", symlinks=True)
    shutil.rmtree(files)

    def limpet() -> float:
        number = next(counter)
        (upper / "round").write_text(str(number))  # another layer than the registry has
        target = f"{host.registry.host}/limpet-made:{number}"
        first = _timed(host.limpet("commit", name, target), host.env)
        second = _timed(host.limpet("push", target), host.env)
        run(host.limpet("rmi", target), host.env)
        run(host.limpet("trash", "empty"), host.env)
        return first + second

    def peers() -> float:
        number = next(counter)
        (mounted / "round").write_text(str(number))
        target = f"{host.registry.host}/peer-made:{number}"
        first = _timed([*buildah, "commit", "-q", other, target], host.podman_env)
        argv = host.podman("push", "-q", "--tls-verify=false", target)
        second = _timed(argv, host.podman_env)
        run(host.podman("rmi", target), host.podman_env)
        return first + second

    try:
        cases = [Case("limpet commit + push", limpet), Case("buildah commit + podman push", peers)]
        note = "A container with 350 MB of new files; its layer is new to the registry each time."
        return interleave("`commit` and `push`", cases, max(3, rounds // 5), note)
    finally:
        run([*buildah, "umount", other], host.podman_env)
        run([*buildah, "rm", other], host.podman_env)
        run(host.limpet("rm", "-f", name), host.env)


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
