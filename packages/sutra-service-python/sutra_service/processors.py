"""The number of processors that this container may use."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable(cgroups: Path = CGROUPS) -> int:
    """The number of processors in this process's affinity mask, limited by the container's CPU quota; at least 1.

    Use it to size thread pools: more threads would only compete.
    """
    processors = os.process_cpu_count() or 1
    quota = _quota(cgroups)
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def _quota(cgroups: Path) -> float | None:
    """The container's CPU quota in processors; None without a limit."""
    # cgroup v2 has one file, v1 has one per number; both use microseconds.
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroups / name).read_text(encoding="ascii") for name in names).split()
            # No limit is "max" in v2 (a ValueError here) and -1 in v1.
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError):
            continue
    return None
