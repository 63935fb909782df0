"""How many processors this container may use."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable(cgroups: Path = CGROUPS) -> int:
    """Processors of this process: those it may run on, or fewer where the container has a quota; at least 1.

    More threads than that would wait for each other.
    """
    processors = os.process_cpu_count() or 1
    quota = _quota(cgroups)
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def _quota(cgroups: Path) -> float | None:
    """How many processors the time of the container is worth; None without a limit."""
    # Version 2 of control groups has one file, version 1 one for each number; both count microseconds.
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroups / name).read_text(encoding="ascii") for name in names).split()
            # No limit is "max" in version 2, which is no number, and -1 in version 1.
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError):
            continue
    return None
