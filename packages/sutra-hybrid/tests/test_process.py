"""The service as a container runs it: one process, its output and its signals."""

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
from world import World


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
    raise AssertionError(f"the service ended without saying: {words}")


def test_what_is_being_learned_is_kept_before_the_stop(world: World) -> None:
    world.storage.gate.clear()
    with service(EMBEDDING_URL=world.embedding.url, STORAGE_URL=world.storage.url) as process:
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
        world.storage.arrived.wait()
        process.send_signal(signal.SIGTERM)
        wait_for(process, "Shutting down")
        world.storage.gate.set()
        teaching.join()
        assert answers == [200]
        assert len(world.concepts) == 1
        assert process.wait() == 0


@pytest.mark.skipif(find_spec("sklearn") is not None, reason="the library is installed here")
def test_an_edition_that_is_not_installed_is_said_and_nothing_starts() -> None:
    with service(SUTRA_EDITION="community") as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert "SUTRA_EDITION='community'" in errors
    assert "Traceback" not in errors
