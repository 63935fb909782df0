"""How many processors this container may use."""

import math
import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable(quota: Path = QUOTA) -> int:
    """Processors of this process: those it may run on, or fewer where the container has a quota; at least 1."""
    processors = os.process_cpu_count() or 1
    try:
        share, period = quota.read_text(encoding="ascii").split()
        # "max" is no number and no limit.
        return max(1, min(processors, math.ceil(int(share) / int(period))))
    except (OSError, ValueError):
        return processors
