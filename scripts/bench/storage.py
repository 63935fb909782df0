"""Storage alone: searching many vectors and texts."""

import json
import math
import random
import time
from typing import Any

from bench.engine import MB, docker, processes, resident, started_at, wait_until_ready
from bench.figures import Report, say
from bench.http_client import Client
from bench.sizes import Sizes
from bench.stack import Stack
from bench.texts import questions, sentences

P95_MS = 50
DIMENSION = 384
BATCH = 1000
LIMIT = 10
WARM_UP = 10
SEED = 3


def measure(report: Report, stack: Stack, sizes: Sizes) -> None:
    """Fills a store, restarts it, and searches it in each way."""
    count = sizes.storage_concepts
    report.part(f"storage alone, {count:,} concepts with text and a random unit vector of {DIMENSION} dimensions")
    stack.up("storage")
    report.figure("concepts a second, written in batches of 1,000", count / fill(stack, count), "/s")
    container = stack.container("storage")
    docker("restart", container)
    ready = wait_until_ready("storage", container, stack.port("storage"))
    report.figure("ready again after a restart", ready - started_at(container), "s", digits=2)
    client = Client(stack.port("storage"))
    report.equal("concepts", client.ask("GET", "/v1/stats")["concepts"], count)
    for name, searches in kinds(sizes.searches + WARM_UP).items():
        report.latencies(f"search by {name}", search(client, searches), P95_MS)
    report.figure("resident after the searches", resident(processes(container)) / MB, "MB")


def fill(stack: Stack, count: int) -> float:
    """Writes concepts in batches; the seconds that storage took of it."""
    client, texts, draw = Client(stack.port("storage")), sentences(SEED), random.Random(SEED)
    seconds = 0.0
    for first in range(0, count, BATCH):
        items = [
            f'{{"id":"{number}","text":{json.dumps(next(texts))},"vector":[{",".join(unit(draw))}]}}'
            for number in range(first, min(first + BATCH, count))
        ]
        body = f'{{"concepts":[{",".join(items)}]}}'.encode()
        begun = time.perf_counter()
        client.send("POST", "/v1/concepts", body, "application/json")
        seconds += time.perf_counter() - begun
        if (first + BATCH) % 20_000 == 0:
            say(f"{first + BATCH:,} concepts written so far")
    return seconds


def unit(draw: random.Random) -> list[str]:
    """The numbers of a random direction, as JSON has them."""
    numbers = [draw.gauss() for _ in range(DIMENSION)]
    length = math.sqrt(math.fsum(number * number for number in numbers))
    return [f"{number / length:.6f}" for number in numbers]


def kinds(count: int) -> dict[str, list[dict[str, Any]]]:
    """Searches of each kind, all different."""
    draw, asked = random.Random(SEED + 1), questions(SEED + 1)
    texts = [next(asked) for _ in range(count)]
    vectors = [[float(number) for number in unit(draw)] for _ in range(count)]
    return {
        "vector": [{"vector": vector, "limit": LIMIT} for vector in vectors],
        "text": [{"text": text, "limit": LIMIT} for text in texts],
        "both": [{"text": text, "vector": vector, "limit": LIMIT} for text, vector in zip(texts, vectors)],
    }


def search(client: Client, searches: list[dict[str, Any]]) -> list[float]:
    """Seconds of each search but the first ones; each must find as many as it asked for."""
    seconds = []
    for body in searches:
        begun = time.perf_counter()
        found = client.ask("POST", "/v1/search", body)["results"]
        seconds.append(time.perf_counter() - begun)
        if len(found) != LIMIT:
            raise SystemExit(f"a search found {len(found)} of {LIMIT}")
    return seconds[WARM_UP:]
