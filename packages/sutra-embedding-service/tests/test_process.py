"""Tests of the service as a container runs it: one process, its output and signals."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny
from scrape import port_in, scrape

# The service with a model that blocks on texts starting with `held` until its folder contains a file `go`.
HELD = """
import os, pathlib, time
from sutra_embedding import __main__ as main, onnx_encoder
from sutra_service.run import run

compute = onnx_encoder.OnnxEncoder.run
go = pathlib.Path(os.environ["MODEL_DIR"], "go")

def held(encoder, batch):
    if batch.texts[0].text.startswith("held"):
        print('{"message": "at work"}', flush=True)
        while not go.exists():
            time.sleep(0.01)
    return compute(encoder, batch)

onnx_encoder.OnnxEncoder.run = held
run(main.load)
"""


@contextmanager
def service(folder: Path, *command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": "1", "HOST": "127.0.0.1", "PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, *(command or ("-m", "sutra_embedding"))],
        env={**environment, "PATH": os.environ["PATH"], "MODEL_DIR": str(folder), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], *words: str) -> list[str]:
    """Read log messages until each of the words has appeared."""
    assert process.stdout is not None
    messages: list[str] = []
    for line in process.stdout:
        messages.append(json.loads(line)["message"])
        if all(any(word in message for message in messages) for word in words):
            return messages
    raise AssertionError(f"the service ended without logging {words}: {messages}")


def address(messages: list[str]) -> str:
    return next(message.split()[3] for message in messages if "running on" in message)


def ask(url: str, texts: list[str]) -> Any:
    request = urllib.request.Request(
        f"{url}/embed", json.dumps({"texts": texts}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_it_embeds_and_stops_on_sigterm(tmp_path: Path) -> None:
    with service(tiny.write(tmp_path / "m")) as process:
        url = address(lines_until(process, "running on", "ready"))
        assert ask(url, ["red"])["dimension"] == 64
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_with_an_unusable_folder_it_keeps_running_but_is_not_ready(tmp_path: Path) -> None:
    tiny.write(tmp_path / "m", config=tiny.CONFIG | {"model_type": "llama"})
    with service(tmp_path / "m") as process:
        messages = lines_until(process, "running on", "architecture: 'llama'")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{address(messages)}/health")
        with caught.value as answer:
            health = json.load(answer)
        assert (caught.value.code, health["status"]) == (503, "failed")
        assert "architecture: 'llama'" in health["reason"]
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_telemetry_is_off(tmp_path: Path) -> None:
    # ONNX Runtime's telemetry would write a device ID and an event queue to the home folder.
    home = tmp_path / "home"
    home.mkdir()
    script = (
        "import sys; from pathlib import Path; from sutra_embedding.engines import load; "
        "load(Path(sys.argv[1]), 'onnx', 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tiny.write(tmp_path / "m"))],
        env={"PYTHONPATH": ":".join(sys.path), "HOME": str(home), "XDG_CACHE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert list(home.iterdir()) == []


def test_health_answers_during_computation_and_shutdown_waits_for_it(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m")
    with service(folder, "-c", HELD) as process:
        url = address(lines_until(process, "running on", "ready"))
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(ask(url, ["held " * 300] * 32)))
        asking.start()
        lines_until(process, "at work")
        with urllib.request.urlopen(f"{url}/health", timeout=10) as health:
            assert health.status == 200
        process.send_signal(signal.SIGTERM)
        lines_until(process, "Shutting down")
        assert answers == []
        (folder / "go").touch()
        asking.join()
        _, errors = process.communicate(timeout=10)
    assert len(answers[0]["embeddings"]) == 32
    assert (process.returncode, errors) == (0, "")


def test_metrics(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m")
    with service(folder, "-c", HELD, METRICS_PORT="0") as process:
        messages = lines_until(process, "running on", "ready")
        url, port = address(messages), port_in(next(line for line in messages if line.startswith("metrics at port")))
        ask(url, ["a", "b", "c"])
        asking = threading.Thread(target=ask, args=(url, ["held " * 300] * 2))
        asking.start()
        lines_until(process, "at work")
        assert scrape(port)["sutra_embedding_waiting"] == 1
        (folder / "go").touch()
        asking.join()
        found = scrape(port)
    assert found["sutra_embedding_waiting"] == 0
    assert found["sutra_embedding_texts_total"] == 5
    assert found['sutra_http_requests_total{method="POST",route="/embed",status="200"}'] == 2
