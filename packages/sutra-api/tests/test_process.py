"""Tests of the service as a container runs it: one process, its output and signals."""

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import fake_service
from scrape import port_in, scrape

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


def ask(url: str, **headers: str) -> tuple[int, str | None]:
    """The status of GET `url` and the id of the request."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=given)) as answer:
            return answer.status, answer.headers["X-Request-Id"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["X-Request-Id"]


def test_metrics_and_request_ids() -> None:
    entry = f"anna:{keys.digest(KEY).hex()}"
    with fake_service.running() as storage:
        storage.replies["GET /v1/stats"] = (200, {"concepts": 1})
        variables = {"SUTRA_API_RATE_BURST": "2", "SUTRA_API_RATE_PER_MINUTE": "1", "METRICS_PORT": "0"}
        with service(STORAGE_URL=storage.url, SUTRA_API_KEYS=entry, **variables) as process:
            port = port_in(wait_for(process, "metrics at port"))
            url = wait_for(process, "running on").split()[3] + "/api/stats"
            assert ask(url, X_API_Key=KEY, X_Request_Id="one", X_Sutra_Via="client") == (200, "one")
            assert ask(url, X_API_Key=KEY, X_Request_Id="two") == (200, "two")
            assert ask(url, X_API_Key=KEY, X_Request_Id="three") == (429, "three")
            assert ask(url, X_Request_Id="four") == (401, "four")
            assert ask(url, X_API_Key="x", X_Request_Id="five") == (401, "five")
            found = scrape(port)
            process.send_signal(signal.SIGTERM)
            log, _ = process.communicate()
    assert storage.request_ids == ["one", "two"]
    ids = [json.loads(line).get("request_id") for line in log.splitlines()]
    assert [name for name in ids if name] == ["one", "two", "three", "four", "five"]
    start = 'sutra_http_requests_total{method="GET",route="/api/stats",status='
    assert {name: value for name, value in found.items() if name.startswith("sutra_http_requests_total")} == {
        start + '"200",via="client"}': 1,
        start + '"200",via="direct"}': 1,
        start + '"429",via="direct"}': 1,
        start + '"401",via="direct"}': 2,
    }
    assert found['sutra_api_refused_total{reason="unauthorized"}'] == 2
    assert found['sutra_api_refused_total{reason="too_many_requests"}'] == 1
    assert found['sutra_dependency_seconds_count{dependency="storage"}'] == 2
    assert found['sutra_build_info{service="api",version="0.0.0",edition="simple"}'] == 1
