"""Asking the whole stack through its public door."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from bench.figures import Report
from bench.http_client import Client
from bench.ingester import concepts, teach
from bench.sizes import Sizes
from bench.stack import Stack
from bench.texts import questions, sentences

P95_MS = 150
ASKERS = 4
WARM_UP = 20
# The limit of a question that names none.
FOUND = 5
TEXT_SEED = 1
QUESTION_SEED = 11


def measure(report: Report, stack: Stack, sizes: Sizes) -> None:
    """Teaches, then asks one question after the other, then several at once."""
    count = sizes.ask_concepts
    report.part(f"ask, {count:,} concepts: POST /api/query, from the question to the whole answer")
    teach(stack, islice(sentences(TEXT_SEED), count))
    report.equal("concepts", concepts(stack), count)
    made = questions(QUESTION_SEED)
    ask(stack, [next(made) for _ in range(WARM_UP)])
    report.latencies("ask", ask(stack, [next(made) for _ in range(sizes.questions)]), P95_MS)
    report.latencies(f"ask, {ASKERS} at once", ask_at_once(stack, [next(made) for _ in range(sizes.questions)]))


def ask(stack: Stack, asked: Sequence[str]) -> list[float]:
    """Seconds to each answer, for which storage must have found as many concepts as a question asks for."""
    client = Client(stack.port("api"), {"Authorization": f"Bearer {stack.key}"})
    seconds = []
    for question in asked:
        begun = time.perf_counter()
        reply = client.ask("POST", "/api/query", {"question": question})
        seconds.append(time.perf_counter() - begun)
        if len(reply["scores"]) != FOUND:
            raise SystemExit(f"for {question!r} {len(reply['scores'])} of {FOUND} concepts were found")
    return seconds


def ask_at_once(stack: Stack, asked: Sequence[str]) -> list[float]:
    """The same from several askers, each on a connection of its own."""
    with ThreadPoolExecutor(ASKERS) as pool:
        return [value for part in pool.map(lambda n: ask(stack, asked[n::ASKERS]), range(ASKERS)) for value in part]
