"""Metrics of this process, under the names that Prometheus' own libraries use."""

import os
import time
from pathlib import Path

from sutra_service.metrics import Metrics, Reading

# Of `stat` after the name of the program, which may contain spaces; see proc_pid_stat(5).
STARTED = 19


def add(metrics: Metrics, process: Path = Path("/proc/self")) -> None:
    """Add memory, processor time, open files and the time of the start. What cannot be read is left out."""
    started = _started(process)
    for kind, name, about, read in (
        ("gauge", "process_resident_memory_bytes", "Resident memory size in bytes.", lambda: _resident(process)),
        ("counter", "process_cpu_seconds_total", "Processor time, user and system.", time.process_time),
        ("gauge", "process_open_fds", "Open files and connections.", lambda: _open_files(process)),
        ("gauge", "process_start_time_seconds", "When the process started, in Unix time.", lambda: started),
    ):
        metrics.add(Reading(kind, name, about, read))


def _resident(process: Path) -> float | None:
    try:
        pages = (process / "statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _open_files(process: Path) -> float | None:
    try:
        # One of them is the folder that is being read.
        return len(os.listdir(process / "fd")) - 1
    except OSError:
        return None


def _started(process: Path) -> float | None:
    try:
        fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        since_boot = int(fields[STARTED]) / os.sysconf("SC_CLK_TCK")
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    except (OSError, ValueError, IndexError):
        return None
