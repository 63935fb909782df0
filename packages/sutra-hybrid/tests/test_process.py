"""Tests of the service as a container runs it: one process, its output and signals."""

import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
from backends import Backends


@contextmanager
def service(**variables: str) -> Iterator[subprocess.Popen[str]]:
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": "1", "HOST": "127.0.0.1", "PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sutra_hybrid"],
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)["message"]
        if words in message:
            return str(message)
    raise AssertionError(f"the service ended without logging: {words}")


def test_a_running_learn_request_is_completed_before_shutdown(backends: Backends) -> None:
    backends.storage.gate.clear()
    with service(EMBEDDING_URL=backends.embedding.url, STORAGE_URL=backends.storage.url) as process:
        url = wait_for(process, "running on").split()[3]
        answers: list[int] = []

        def teach() -> None:
            request = urllib.request.Request(
                f"{url}/learn", data=b'{"texts": ["a"]}', headers={"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                answers.append(answer.status)

        teaching = threading.Thread(target=teach)
        teaching.start()
        backends.storage.arrived.wait()
        process.send_signal(signal.SIGTERM)
        wait_for(process, "Shutting down")
        backends.storage.gate.set()
        teaching.join()
        assert answers == [200]
        assert len(backends.concepts) == 1
        assert process.wait() == 0


@pytest.mark.skipif(find_spec("sklearn") is not None, reason="the library is installed")
def test_an_edition_whose_libraries_are_missing_does_not_start() -> None:
    with service(SUTRA_EDITION="community") as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert "SUTRA_EDITION='community'" in errors
    assert "Traceback" not in errors
