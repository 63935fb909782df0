"""Docker, and the memory of what runs in it."""

import http.client
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

MB = 1_000_000
GIVE_UP_AFTER_S = 120


def docker(*args: str, env: dict[str, str] | None = None) -> str:
    """What docker prints; ends the program with its words when it fails."""
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"docker {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout.strip()


def started_at(container: str) -> float:
    """When a container's program was started, as docker notes it."""
    text = docker("inspect", "--format", "{{.State.StartedAt}}", container)
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()


def wait_until_ready(name: str, container: str, port: int) -> float:
    """The time of the first 200 on /health."""
    begun = time.monotonic()
    while time.monotonic() - begun < GIVE_UP_AFTER_S:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return time.time()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    log = subprocess.run(["docker", "logs", "--tail", "20", container], capture_output=True, text=True, check=False)
    sys.exit(f"{name} was not ready within {GIVE_UP_AFTER_S} s; its log ends in:\n{log.stdout}{log.stderr}")


def processes(container: str) -> list[int]:
    """The service's processes: the container's first and what it started. A health check under way is none of them."""
    found = [int(docker("inspect", "--format", "{{.State.Pid}}", container))]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def resident(pids: list[int]) -> int:
    """Resident bytes of a container's processes: what each has alone, and once what they share."""
    alone, shared = 0, 0
    for pid in pids:
        fields = {}
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            key, kilobytes, _ = line.split()
            fields[key] = int(kilobytes) * 1024
        private = fields["Private_Clean:"] + fields["Private_Dirty:"]
        alone += private
        shared = max(shared, fields["Rss:"] - private)
    return alone + shared


def peak_resident(pids: list[int]) -> int:
    """The most bytes that these processes ever had resident (VmHWM), added up."""
    total = 0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
    return total


def cgroup_peak(pid: int) -> int | None:
    """The most bytes that the kernel ever charged to a process's control group, cached files included; None where the
    kernel does not keep it."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            file = Path(f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes")
        elif not controllers:
            file = Path(f"/sys/fs/cgroup{path}/memory.peak")
        else:
            continue
        if file.exists():
            return int(file.read_text())
    return None
