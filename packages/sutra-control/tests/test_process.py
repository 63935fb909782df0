"""Tests of the service as a container runs it: one process, its output and signals."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import PASSWORD
from scrape import port_in, scrape


@contextmanager
def service(**variables: str) -> Iterator[subprocess.Popen[str]]:
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": "1", "HOST": "127.0.0.1", "PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sutra_control"],
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


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        message = str(json.loads(line)["message"])
        if "running on" in message:
            return message.split()[3]
    raise AssertionError("the service ended before it started listening")


def test_signing_in_behind_a_tls_proxy_and_shutdown(page: Path, entry: str) -> None:
    with service(SUTRA_CONTROL_PAGE=str(page), SUTRA_CONTROL_USERS=entry) as process:
        url = url_of(process)
        cookies = []
        for forwarded in ("https", "http"):
            request = urllib.request.Request(
                f"{url}/api/session",
                json.dumps({"name": "anna", "password": PASSWORD}).encode(),
                {"Content-Type": "application/json", "X-Forwarded-Proto": forwarded, "X-Forwarded-For": "192.0.2.1"},
            )
            with urllib.request.urlopen(request) as answer:
                cookies.append("; Secure" in answer.headers["Set-Cookie"])
        assert cookies == [True, False]
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate()
        assert process.returncode == 0
    assert errors == ""
    assert '"operator": "anna", "address": "192.0.2.1"' in output
    assert PASSWORD not in output


def test_forwarded_headers_of_untrusted_proxies_are_ignored(page: Path, entry: str) -> None:
    variables = {"SUTRA_CONTROL_PAGE": str(page), "SUTRA_CONTROL_USERS": entry, "FORWARDED_ALLOW_IPS": "192.0.2.9"}
    with service(**variables) as process:
        request = urllib.request.Request(
            f"{url_of(process)}/api/session",
            json.dumps({"name": "anna", "password": PASSWORD}).encode(),
            {"Content-Type": "application/json", "X-Forwarded-Proto": "https"},
        )
        with urllib.request.urlopen(request) as answer:
            assert "; Secure" not in answer.headers["Set-Cookie"]


def test_an_invalid_setting_is_reported_before_anything_starts(page: Path) -> None:
    with service(SUTRA_CONTROL_PAGE=str(page), SUTRA_CONTROL_USERS="anna:password") as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert "SUTRA_CONTROL_USERS" in errors
    assert "Traceback" not in errors


def test_its_first_check_finds_itself(page: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {"SUTRA_CONTROL_EVERY_SECONDS": "2", "LOG_LEVEL": "debug"}
    with service(SUTRA_CONTROL_PAGE=str(page), PORT=str(port), **variables) as process:
        assert process.stdout is not None
        checks, messages = 0, []
        while checks < 2:
            line = json.loads(process.stdout.readline())
            checks += line.get("path") == "/health"
            messages.append(line["message"])
    assert "control changed from unreachable to ok" not in messages


def test_metrics(page: Path, entry: str) -> None:
    with service(SUTRA_CONTROL_PAGE=str(page), SUTRA_CONTROL_USERS=entry, METRICS_PORT="0") as process:
        assert process.stdout is not None
        messages = (json.loads(line)["message"] for line in process.stdout)
        port = port_in(next(message for message in messages if message.startswith("metrics at port")))
        with urllib.request.urlopen(url_of(process)) as answer:
            assert answer.headers["X-Request-Id"]
        found = scrape(port)
    assert found['sutra_http_requests_total{method="GET",route="/",status="200"}'] == 1
    assert found['sutra_build_info{service="control",version="0.0.0",edition="simple"}'] == 1
