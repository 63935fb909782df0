"""Compare the service with plain ONNX Runtime in the same process, on one short sentence.

    python benchmark.py [MODEL_DIR] [ROUNDS]

`bare` runs the model on token ids. `service` is a request without HTTP: tokenizing, queueing, computing and the JSON
answer. `http` is a complete request over a persistent connection, with client and server on the same processors. Prints
medians in milliseconds and the ratio to `bare`. Exits with 1 if the ratio of `service` exceeds ALLOWED.
"""

import asyncio
import http.client
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn
from sutra_service.processors import usable
from sutra_service.settings import Environment

from sutra_embedding import application, graph
from sutra_embedding.onnx_encoder import OnnxEncoder, inputs
from sutra_embedding.work_queue import WorkQueue

SENTENCE = "The quick brown fox jumps over the lazy dog."
ALLOWED = 1.2
WARM_UP = 50


def main(folder: Path, rounds: int) -> int:
    """Run the benchmark and print the results."""
    server = Server(folder)
    encoder = server.encoder
    loop = asyncio.new_event_loop()
    queue = WorkQueue(1, 60)
    ids = [text.ids for text in encoder.tokenize([SENTENCE])]
    given = inputs(ids)

    def service() -> None:
        application.answer(encoder, loop.run_until_complete(queue.embed(encoder, [SENTENCE])))

    calls = {"bare": lambda: encoder.session.run(given, graph.OUTPUT), "service": service, "http": server.ask}
    medians = measure(calls, rounds)
    server.close()
    print(f"{len(ids[0])} tokens, {usable()} threads, {rounds} rounds")
    for name, milliseconds in medians.items():
        print(f"{name:8} p50 {milliseconds:7.3f} ms   {milliseconds / medians['bare']:5.2f} x")
    return 1 if medians["service"] > ALLOWED * medians["bare"] else 0


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of each call in milliseconds. The order is shuffled in each round to avoid ordering effects."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls.items())
    for _ in range(rounds + WARM_UP):
        random.shuffle(order)
        for name, call in order:
            begun = time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - begun) * 1000)
    return {name: statistics.median(values[WARM_UP:]) for name, values in taken.items()}


class Server:
    """The service in a thread, on a local port, and a connection to it."""

    def __init__(self, folder: Path) -> None:
        environment = Environment({"MODEL_DIR": str(folder), "HOST": "127.0.0.1", "PORT": "0"})
        app = application.create(application.read_settings(environment), environment)
        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", http="h11"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started or app.state.readiness.status == "starting":
            time.sleep(0.01)
        self.encoder: OnnxEncoder = app.state.encoder
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._body = json.dumps({"text": SENTENCE})

    def ask(self) -> None:
        """Send a request and read the answer."""
        self._connection.request("POST", "/embed", self._body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:  # noqa: PLR2004
            raise RuntimeError(f"the service answered {answer.status}: {content[:200]!r}")

    def close(self) -> None:
        """Stop the server."""
        self._connection.close()
        self._server.should_exit = True
        self._thread.join()


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    sys.exit(main(Path(given.get(1, application.DEFAULT_MODEL)), int(given.get(2, "300"))))
