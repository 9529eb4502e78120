"""The benchmarks by name: each takes the host and the number of rounds, and stands alone."""

from __future__ import annotations

from benchmarks.cases import (
    app,
    big_image,
    browsing,
    building,
    containers,
    first_paint,
    image_files,
    listing,
    load,
    monitors,
    networks,
    pulling,
    registries,
    scale,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench_host import BenchHost
    from benchmarks.report import Measured

CASES: dict[str, Callable[[BenchHost, int], Measured]] = {
    "start": containers.start,
    "run": containers.run_without_network,
    "run-bridge": containers.run_on_bridge,
    "run-network": networks.run_on_network,
    "exec": containers.execute,
    "ps": listing.ps_few,
    "ps-many": listing.ps_many,
    "pull": pulling.pull,
    "pull-big": big_image.pull_big,
    "pull-memory": big_image.pull_memory,
    "save-load": big_image.save_load,
    "commit-push": big_image.commit_push,
    "image-files": image_files.image_files,
    "browse": browsing.browse,
    "build": building.build_cold,
    "build-cached": building.build_cached,
    "build-scan": building.scan,
    "push": registries.push,
    "sync": registries.sync,
    "serve": registries.serve,
    "serve-many": registries.serve_many,
    "paint": first_paint.paint,
    "app": app.app,
    "memory": monitors.memory,
    "scale": scale.scale,
    "load": load.load,
}
