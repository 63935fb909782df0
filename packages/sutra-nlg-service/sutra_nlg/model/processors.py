"""How many processors this container may use."""

import os
from pathlib import Path

# "QUOTA PERIOD" in microseconds, or "max PERIOD", as `docker run --cpus` sets it.
CGROUP = Path("/sys/fs/cgroup/cpu.max")


def processors(limit: Path = CGROUP) -> int:
    """The processors it may run on, but no more than its share of time is worth: more would wait for each other."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = limit.read_text(encoding="ascii").split()
        share = -(-int(quota) // int(period))
    except (OSError, ValueError):
        return allowed
    return max(1, min(allowed, share))
