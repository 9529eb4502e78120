"""Pulling an image into an empty store on a filesystem made for the purpose."""

from __future__ import annotations

import os
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Aim, Case, interleave, run
from tests.fixture_images import write_oci_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bench_host import BenchHost
    from benchmarks.measure import Measurement

LAYERS = ("usr/lib", "usr/share", "usr")
"""The Debian tree is cut here, the rest is the lowest layer: images have several."""


def pull(host: BenchHost, rounds: int) -> Measurement:
    """Pull a Debian of four layers from a registry on loopback."""
    layout = write_oci_layout(host.work / "debian", debian_layers(host))
    reference = host.registry.push(layout, "debian:latest")

    def timed(argv: Sequence[str], env: dict[str, str]) -> float:
        start = time.perf_counter()
        run(argv, env)
        return time.perf_counter() - start

    def limpet() -> float:
        with fresh_filesystem(host.work) as place:
            return timed(host.limpet("pull", reference), host.limpet_env(place))

    def podman() -> float:
        with fresh_filesystem(host.work) as place:
            argv = host.podman("pull", "-q", "--tls-verify=false", reference, root=place)
            return timed(argv, host.podman_env)

    size = sum(blob.stat().st_size for blob in (layout / "blobs/sha256").iterdir())
    note = f"{size / 1e6:.0f} MB gzip, ext4 in a file on tmpfs made anew for each pull."
    cases = [Case("limpet", limpet), Case("podman", podman)]
    aims = [Aim("limpet", "podman", 0.5)]
    return interleave("`pull` of Debian, cold", cases, max(3, rounds // 5), note, aims)


def debian_layers(host: BenchHost) -> list[Path]:
    """Return tars that a Debian consists of, lowest first."""
    return _cut(host.debian, host.work)


def _cut(rootfs: Path, work: Path) -> list[Path]:
    """Spread the tar's entries over one tar a layer, parents first."""
    places = [work / f"layer-{number}.tar" for number in range(len(LAYERS) + 1)]
    outputs = [tarfile.open(place, "w") for place in places]  # noqa: SIM115 - closed below
    # A hard link is only valid in the layer that has its target.
    homes: dict[str, int] = {}
    with tarfile.open(rootfs) as source:
        for entry in source:
            name = entry.name.removeprefix("./")
            home = next((i for i, top in enumerate(LAYERS, 1) if name.startswith(top + "/")), 0)
            if entry.islnk():
                home = homes[entry.linkname]
            homes[entry.name] = home
            content = source.extractfile(entry) if entry.isreg() else None
            outputs[home].addfile(entry, content)
    for output in outputs:
        output.close()
    return places


@contextmanager
def fresh_filesystem(work: Path) -> Iterator[Path]:
    """Mount a new ext4, kept in memory so that the disk's other users do not count."""
    memory, place = work / "memory", work / "fresh"
    memory.mkdir(exist_ok=True)
    place.mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", str(memory)])
    try:
        image = memory / "ext4"
        with image.open("wb") as file:
            os.truncate(file.fileno(), 2 << 30)
        options = "lazy_itable_init=0,lazy_journal_init=0"
        run(["mkfs.ext4", "-q", "-E", options, str(image)])
        run(["mount", "-o", "loop", str(image), str(place)])
        try:
            yield place
        finally:
            for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
                target = line.split()[4]
                if target == str(place) or target.startswith(f"{place}/"):
                    run(["umount", target])
    finally:
        run(["umount", str(memory)])
