#!/usr/bin/env python3
"""Prints how the stack of eight and its parts do under the load that the project promises figures for.

    scripts/benchmark-stack.py [--only stack,ask,ingester,storage] [--quick] [--tag T]

Needs an engine, Compose and built optimized images; nothing but Python's standard library. It raises a stack of its own from
docker-compose.yml (own project, own ports on loopback, own secrets), and removes all of it, also when it fails or is stopped.

stack     seconds from `docker compose up` to all healthy, and resident memory of each service when idle
ask       POST /api/query through the whole stack with 10,000 concepts: one asker, then four at once
ingester  100,000 lines in one upload: the most memory it held, how fast it was, whether all arrived in storage
storage   100,000 concepts of 384 dimensions: search by vector, by text and by both

Resident memory is what scripts/benchmark-services.py calls so: private pages of each process, pages that they share once.
A figure above its bound is marked, and the exit status is 1. `--quick` measures with little, to try the script: no figure of it
counts.
"""

import argparse
import signal
import sys

from bench import ask, idle, ingester, storage
from bench.figures import Report, say
from bench.sizes import FULL, QUICK
from bench.stack import Stack

WHOLE = ("stack", "ask", "ingester")
PARTS = (*WHOLE, "storage")


def main() -> int:
    """Measure, print, and say whether all bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help=f"of: {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="little of everything, to try the script")
    parser.add_argument("--tag", default="latest-simple", help="of the images, without -optimized (default latest-simple)")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # As on Ctrl-C, everything is removed first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = QUICK if options.quick else FULL
    report = Report()
    print(f"images NAME:{options.tag}-optimized{', quick: no figure counts' if options.quick else ''}")
    if any(part in WHOLE for part in parts):
        with Stack(options.tag, "whole") as stack:
            healthy_s = stack.up()
            if "stack" in parts:
                idle.measure(report, stack, healthy_s, sizes)
            if "ask" in parts:
                ask.measure(report, stack, sizes)
                idle.memory(report, stack, "resident afterwards")
            if "ingester" in parts:
                ingester.measure(report, stack, sizes)
    if "storage" in parts:
        with Stack(options.tag, "storage") as stack:
            storage.measure(report, stack, sizes)
    if report.missed:
        say(f"missed: {', '.join(report.missed)}")
    return 1 if report.missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
