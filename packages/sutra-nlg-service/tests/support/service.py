"""The service as a container runs it: a process of its own."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Service:
    """A running service; `log` holds the lines that were read so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.url = ""

    def wait_for(self, words: str) -> dict[str, Any]:
        """The first further line of the log whose message has `words`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            entry = json.loads(line)
            self.log.append(entry)
            if "running on" in entry["message"]:
                self.url = entry["message"].split()[3]
            if words in entry["message"]:
                return entry
        raise AssertionError(f"the service ended without saying: {words}")

    def call(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a GET, or of a POST if there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@contextmanager
def running(*command: str, **variables: str) -> Iterator[Service]:
    """The service on a free port, or `command` in its place; killed when the block ends."""
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": "1", "HOST": "127.0.0.1", "PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, *(command or ("-m", "sutra_nlg"))],
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Service(process)
    finally:
        process.kill()
        process.communicate()
