"""The stack as a whole: how soon it is healthy, and what it holds when nobody asks."""

import time

from bench.engine import MB, processes, resident
from bench.figures import Report
from bench.sizes import Sizes
from bench.stack import Stack

HEALTHY_S = 15
IDLE_MB = 700


def measure(report: Report, stack: Stack, healthy_s: float, sizes: Sizes) -> None:
    """Memory some seconds after all were healthy, which took `healthy_s` from `docker compose up`."""
    report.part("stack of eight, images present, nothing taught")
    report.figure("docker compose up until all are healthy", healthy_s, "s", HEALTHY_S)
    time.sleep(sizes.idle_after_s)
    memory(report, stack, "resident, idle", IDLE_MB)


def memory(report: Report, stack: Stack, title: str, bound: float | None = None) -> None:
    """Resident memory of each service and of all; pages that a service's processes share are counted once."""
    total = 0.0
    for name in stack.services:
        held = resident(processes(stack.container(name))) / MB
        report.figure(f"{title}: {name}", held, "MB")
        total += held
    report.figure(f"{title}: all {len(stack.services)}", total, "MB", bound)
