"""Tests of the service as a container runs it: one process, its output and signals."""

import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import fake_service

from sutra_api import keys

KEY = "key of anna"


@contextmanager
def service(**variables: str) -> Iterator[subprocess.Popen[str]]:
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": "1", "HOST": "127.0.0.1", "PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sutra_api"],
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


def test_a_running_request_is_answered_before_shutdown() -> None:
    with fake_service.running() as storage:
        storage.replies["GET /v1/stats"] = (200, {"concepts": 1})
        storage.gate.clear()
        entry = f"anna:{keys.digest(KEY).hex()}"
        with service(STORAGE_URL=storage.url, SUTRA_API_KEYS=entry) as process:
            url = wait_for(process, "running on").split()[3]
            answers: list[int] = []

            def ask() -> None:
                request = urllib.request.Request(f"{url}/api/stats", headers={"X-API-Key": KEY})
                with urllib.request.urlopen(request) as answer:
                    answers.append(answer.status)

            asking = threading.Thread(target=ask)
            asking.start()
            storage.arrived.wait()
            process.send_signal(signal.SIGTERM)
            wait_for(process, "Shutting down")
            storage.gate.set()
            asking.join()
            assert answers == [200]
            assert process.wait() == 0


def test_an_invalid_setting_is_reported_before_anything_starts() -> None:
    with service(SUTRA_EDITION="pro") as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert "SUTRA_EDITION='pro'" in errors
    assert "Traceback" not in errors
