#!/usr/bin/env python3
"""Prints how fast each service's optimized image is ready and what memory it holds when idle.

    scripts/benchmark-services.py [--edition E] [--variant original|optimized] [--runs N] [SERVICE…]

Needs an engine and built images. Every container runs as in production: read-only root, no capabilities. `ready` is the
time from the container's start, as docker notes it, to the first 200 on /health; `idle` the resident memory of its processes
five seconds later, pages that they share counted once. Services take turns, so that a noisy minute hits all of them.
Bounds come from the project's goals; a figure above its bound is marked, and the exit status is 1.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from bench.engine import MB, docker, processes, resident, started_at, wait_until_ready
from bench.stack import manifest

IDLE_AFTER_S = 5
# Seconds to ready and idle megabytes; None: no bound was promised.
PYTHON = (1.2, 60)
RUST = (0.2, 20)
BOUNDS = {
    "embedding": (2.0, 250),
    "nlg": (1.5, 80),
    "hybrid": PYTHON,
    "api": PYTHON,
    "control": PYTHON,
    "storage": RUST,
    "bulk-ingester": RUST,
    "client": (None, 15),
}


def measure(name: str, service: dict, image: str) -> tuple[float, float]:
    """Seconds to ready and idle megabytes of one container of `image`, removed afterwards."""
    needs = service.get("run", {})
    args = [f"--env={key}={value}" for key, value in needs.get("env", {}).items()]
    args += [f"--tmpfs={path}" for path in needs.get("tmpfs", [])]
    args += [f"--volume={path}" for path in needs.get("volumes", [])]
    port = service["port"]
    container = docker(
        "run", "--detach", "--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        f"--publish=127.0.0.1::{port}", "--no-healthcheck", *args, image,
    )  # fmt: skip
    try:
        ports = docker("inspect", "--format", "{{json .NetworkSettings.Ports}}", container)
        published = int(json.loads(ports)[f"{port}/tcp"][0]["HostPort"])
        ready = wait_until_ready(name, container, published) - started_at(container)
        time.sleep(IDLE_AFTER_S)
        return ready, resident(processes(container)) / MB
    finally:
        # The anonymous volumes go with the container.
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=False)


def main() -> int:
    """Measure, print, and say whether all bounds hold."""
    services = manifest()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"of: {', '.join(services)}")
    parser.add_argument("--edition", default="simple", choices=("simple", "community", "enterprise"))
    parser.add_argument("--variant", default="optimized", choices=("optimized", "original"))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if unknown := set(options.services) - set(services):
        parser.error(f"no such service: {', '.join(sorted(unknown))}")
    chosen = options.services or list(services)
    suffix = "-optimized" if options.variant == "optimized" else ""
    figures = {name: [] for name in chosen}
    for _ in range(options.runs):
        for name in chosen:
            image = f"{services[name]['image']}:latest-{options.edition}{suffix}"
            figures[name].append(measure(name, services[name], image))
    print(f"{options.variant} images, edition {options.edition}, {options.runs} runs: median (minimum to maximum)")
    missed = 0
    for name in chosen:
        cells = []
        for values, bound, unit, digits in zip(zip(*figures[name]), BOUNDS.get(name, (None, None)), ("s", "MB"), (2, 1)):
            middle = statistics.median(values)
            over = bound is not None and options.variant == "optimized" and middle > bound
            missed += over
            limit = "" if bound is None else f" of {bound} {unit}"
            text = f"{middle:.{digits}f} {unit} ({min(values):.{digits}f} to {max(values):.{digits}f}){limit}"
            cells.append(text + (" ABOVE" if over else ""))
        print(f"{name:14} ready {cells[0]:40} idle {cells[1]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
