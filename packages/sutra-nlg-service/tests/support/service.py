"""Runs the service in its own process, as a container does."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Service:
    """A running service; `log` has the lines read so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.url = ""

    def wait_for(self, words: str) -> dict[str, Any]:
        """Read the log until a message contains `words`; returns that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            entry = json.loads(line)
            self.log.append(entry)
            if "running on" in entry["message"]:
                self.url = entry["message"].split()[3]
            if words in entry["message"]:
                return entry
        raise AssertionError(f"the service ended without logging: {words}")

    def call(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a GET, or a POST if there is a body; returns status and JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@contextmanager
def running(*command: str, **variables: str) -> Iterator[Service]:
    """Run the service, or `command` instead, on a free port; killed at the end of the block."""
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
