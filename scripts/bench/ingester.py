"""Teaching many lines through the bulk ingester, all the way to storage."""

import json
import time
from collections.abc import Iterable
from itertools import islice

from bench.engine import MB, cgroup_peak, peak_resident, processes
from bench.figures import Report, say
from bench.http_client import Client
from bench.sizes import Sizes
from bench.stack import Stack
from bench.texts import sentences

RESIDENT_MB = 64
NO_PROGRESS_S = 120
SEED = 2


def measure(report: Report, stack: Stack, sizes: Sizes) -> None:
    """One upload: the memory it took, how fast it was, and whether all of it arrived."""
    count = sizes.ingester_lines
    report.part(f"bulk-ingester, {count:,} lines in one upload, through hybrid and embedding into storage")
    before = concepts(stack)
    begun = time.monotonic()
    job = teach(stack, (f"Bulk: {text}" for text in islice(sentences(SEED), count)))
    took = time.monotonic() - begun
    pids = processes(stack.container("bulk-ingester"))
    report.figure("most resident memory (VmHWM)", peak_resident(pids) / MB, "MB", RESIDENT_MB)
    charged = cgroup_peak(pids[0])
    if charged is not None:
        report.figure("most charged to its cgroup, with cached files", charged / MB, "MB")
    report.figure("lines a second", count / took, "/s")
    report.equal("lines taught", job["taught"], count)
    report.equal("bad lines", job["bad"], 0)
    report.equal("concepts that storage has more", concepts(stack) - before, count)


def teach(stack: Stack, texts: Iterable[str]) -> dict:
    """Uploads texts and waits until the job has ended; the job."""
    client = Client(stack.port("bulk-ingester"))
    body = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    job = client.send("POST", "/v1/jobs", body, "application/x-ndjson")
    name, last, since = job["id"], 0, time.monotonic()
    while job["state"] not in ("done", "failed", "cancelled"):
        time.sleep(0.5)
        job = client.ask("GET", f"/v1/jobs/{name}")
        if job["lines_read"] > last:
            if job["lines_read"] // 10_000 > last // 10_000:
                say(f"{job['lines_read']:,} lines taught so far")
            last, since = job["lines_read"], time.monotonic()
        elif time.monotonic() - since > NO_PROGRESS_S:
            raise SystemExit(f"no line was taught for {NO_PROGRESS_S} s: {job['state']}, {job['reason']}")
    if job["state"] != "done":
        raise SystemExit(f"the job has {job['state']}: {job['reason']}")
    return job


def concepts(stack: Stack) -> int:
    """How many concepts storage keeps."""
    return Client(stack.port("storage")).ask("GET", "/v1/stats")["concepts"]
