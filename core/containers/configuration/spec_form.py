"""Runtime configurations that an earlier limpet stored, in the form of today's."""

from __future__ import annotations

from core.containers.runtime.limits import cpu_quota

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def bring_up_to_date(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the same configuration with what has been added since; nothing that was is lost."""
    process, linux = spec["process"], spec["linux"]
    resources = linux["resources"]
    # `cpus` was a number of processors; in the OCI form it is a list of them.
    cpus = float(resources["cpu"].get("cpus") or 0)
    return {
        **spec,
        "process": {
            "rlimits": [],
            "oomScoreAdj": 0,
            **process,
            "user": {**process["user"], "additionalGroups": []},
        },
        "linux": {
            "devices": [],
            **linux,
            "resources": {**resources, "cpu": {"quota": cpu_quota(cpus) if cpus else 0}},
        },
    }
