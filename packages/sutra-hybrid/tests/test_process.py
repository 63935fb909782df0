"""Tests of the service as a container runs it: one process, its output and signals."""

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
from backends import Backends
from scrape import port_in, scrape


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


def test_a_client_that_leaves_ends_its_learn_request(backends: Backends) -> None:
    backends.embedding.gate.clear()
    with service(EMBEDDING_URL=backends.embedding.url, STORAGE_URL=backends.storage.url) as process:
        url = wait_for(process, "running on").split()[3]
        body = b'{"texts": ["a"]}'
        head = (
            f"POST /learn HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            backends.embedding.arrived.wait()
        wait_for(process, "the client disconnected: POST /learn is cancelled")
        backends.embedding.gate.set()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/learn", b'{"texts": ["b"]}', headers)) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert (errors, [concept["text"] for concept in backends.concepts.values()]) == ("", ["b"])


@pytest.mark.skipif(find_spec("sklearn") is not None, reason="the library is installed")
def test_an_edition_whose_libraries_are_missing_does_not_start() -> None:
    with service(SUTRA_EDITION="community") as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert "SUTRA_EDITION='community'" in errors
    assert "Traceback" not in errors


def test_metrics_and_request_ids(backends: Backends) -> None:
    urls = {"EMBEDDING_URL": backends.embedding.url, "STORAGE_URL": backends.storage.url}
    with service(METRICS_PORT="0", **urls) as process:
        port = port_in(wait_for(process, "metrics at port"))
        url = wait_for(process, "running on").split()[3]
        for texts in (["a", "b"], ["c", "c"]):
            headers = {"Content-Type": "application/json", "X-Request-Id": "7-1"}
            request = urllib.request.Request(f"{url}/learn", json.dumps({"texts": texts}).encode(), headers)
            with urllib.request.urlopen(request) as answer:
                assert (answer.status, answer.headers["X-Request-Id"]) == (200, "7-1")
        found = scrape(port)
    calls = [*zip(backends.embedding.requests, backends.embedding.request_ids, strict=True)]
    calls += [*zip(backends.storage.requests, backends.storage.request_ids, strict=True)]
    assert {name: given for (name, _), given in calls if name.startswith("POST")} == {
        "POST /embed": "7-1",
        "POST /v1/concepts": "7-1",
    }
    assert found["sutra_hybrid_texts_learned_total"] == 3
    assert found['sutra_http_requests_total{method="POST",route="/learn",status="200"}'] == 2
    assert found['sutra_dependency_seconds_count{dependency="storage"}'] == 2


def test_a_question_beyond_its_time_counts_as_an_error_of_the_slow_service(backends: Backends) -> None:
    urls = {"EMBEDDING_URL": backends.embedding.url, "STORAGE_URL": backends.storage.url, "NLG_URL": backends.nlg.url}
    backends.embedding.gate.clear()
    with service(METRICS_PORT="0", SUTRA_HYBRID_QUESTION_SECONDS="1", **urls) as process:
        port = port_in(wait_for(process, "metrics at port"))
        url = wait_for(process, "running on").split()[3]
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/query", b'{"question": "a?"}', headers)
        with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request):
            pass
        caught.value.close()
        found = scrape(port)
    assert caught.value.code == 504
    assert found['sutra_dependency_errors_total{dependency="embedding",code="embedding_timeout"}'] == 1
