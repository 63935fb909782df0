"""The port of the metrics, and what is counted there, of a real process."""

import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.error import HTTPError

import fake_service
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from scrape import port_in, scrape
from test_run import GUARD_S, service

MORE = """
import asyncio
from fastapi import APIRouter
import sutra_service.connections as connections
from sutra_service.dependency import Dependency

connections.MAX_CONNECTIONS = 20
connections.HEADER_S = 1e6
inner = create_app

def create_app(settings, **options):
    other = Dependency("other", {url!r}, "OTHER_URL", 30)
    app = inner(settings, **{{**options, "dependencies": (other,), "tells_via": {via}}})
    router = APIRouter(prefix="/v1")
    waiting = asyncio.Event()

    @router.get("/items/{{name}}")
    async def item(name: str):
        return name

    @router.get("/call")
    async def call():
        await other.call("GET", "/x")

    @router.get("/forward")
    async def forward():
        await other.call("GET", "/x", forward_client_errors=True)

    @router.get("/broken")
    async def broken():
        raise RuntimeError("broken")

    @router.get("/wait")
    async def wait():
        await waiting.wait()

    @router.get("/go")
    async def go():
        waiting.set()

    app.include_router(router)
    return app
"""


class Running:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.metrics_port = port_in(self.wait_for("metrics at port"))
        self.port = int(self.wait_for("running on").rsplit(":", 1)[1].split(" ", 1)[0])

    def wait_for(self, words: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)["message"]
            if words in message:
                return str(message)
        raise AssertionError(f"the service ended without logging: {words}")

    def ask(self, path: str, method: str = "GET", port: int | None = None, **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.port}{path}", None, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=GUARD_S) as answer:
                return answer.status
        except HTTPError as error:
            return error.code

    def counted(self) -> dict[str, float]:
        """How many requests were counted, by the labels as they are written."""
        name = "sutra_http_requests_total"
        found = scrape(self.metrics_port).items()
        return {sample.removeprefix(name): value for sample, value in found if sample.startswith(f"{name}{{")}


@contextmanager
def running(url: str = "http://127.0.0.1:1", *, via: bool = False, **variables: str) -> Iterator[Running]:
    given = {"METRICS_PORT": "0", **variables}
    with service(more=MORE.format(url=url, via=via), **given) as process:
        yield Running(process)


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with running() as it:
        yield it


def test_prometheus_reads_all_of_it() -> None:
    with running(SUTRA_SERVICE_VERSION="1.2.3", SUTRA_EDITION="community") as it:
        began = time.time()
        assert it.ask("/v1/items/a") == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{it.metrics_port}/metrics", timeout=GUARD_S) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            found = {family.name: family for family in parse(answer.read().decode())}
    (build,) = found["sutra_build_info"].samples
    assert (build.labels, build.value) == ({"service": "sutra-x", "version": "1.2.3", "edition": "community"}, 1)
    assert {name: family.type for name, family in found.items()} == {
        "sutra_build_info": "gauge",
        "process_resident_memory_bytes": "gauge",
        "process_cpu_seconds": "counter",
        "process_open_fds": "gauge",
        "process_start_time_seconds": "gauge",
        "sutra_dependency_seconds": "histogram",
        "sutra_dependency_errors": "counter",
        "sutra_http_requests": "counter",
        "sutra_http_request_seconds": "histogram",
        "sutra_http_requests_in_progress": "gauge",
    }
    (started,) = found["process_start_time_seconds"].samples
    assert began - GUARD_S < started.value < began
    times = {sample.name: sample for sample in found["sutra_http_request_seconds"].samples}
    assert times["sutra_http_request_seconds_count"].labels == {"route": "/v1/items/{name}"}
    assert times["sutra_http_request_seconds_count"].value == 1
    assert 0 < times["sutra_http_request_seconds_sum"].value < GUARD_S


def test_labels_are_templates_and_few() -> None:
    with running() as it:
        for path in ("/v1/items/a", "/v1/items/b?c=d", "/nowhere", "/v1/nowhere", "/v1/items/", "/v1/items/a/b"):
            it.ask(path)
        for method in ("BREW", "TRACE", "get"):
            it.ask("/v1/items/a", method)
        it.ask("/v1/items/a", "DELETE")
        it.ask("/v1/broken")
        # Refused before it reaches its route.
        it.ask("/v1/items/a", Host="rebind.example")
        counted = it.counted()
    assert counted == {
        '{method="GET",route="/v1/items/{name}",status="200"}': 2,
        '{method="GET",route="other",status="404"}': 4,
        '{method="other",route="/v1/items/{name}",status="405"}': 3,
        '{method="DELETE",route="/v1/items/{name}",status="405"}': 1,
        '{method="GET",route="/v1/broken",status="500"}': 1,
        '{method="GET",route="/v1/items/{name}",status="421"}': 1,
    }


def test_requests_of_the_client_page_are_told_apart() -> None:
    with running(via=True) as it:
        for via in ("client", "direct", "Client", "anything", ""):
            it.ask("/v1/items/a", X_Sutra_Via=via)
        it.ask("/v1/items/a")
        counted = it.counted()
    start = '{method="GET",route="/v1/items/{name}",status="200"'
    assert counted == {f'{start},via="client"}}': 1, f'{start},via="direct"}}': 5}


def test_running_requests_are_counted(shared: Running) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), GUARD_S) as waiting:
        waiting.sendall(b"GET /v1/wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while scrape(shared.metrics_port)["sutra_http_requests_in_progress"] != 1:
            pass
        assert shared.ask("/v1/go") == 200
        assert waiting.recv(100).startswith(b"HTTP/1.1 200")
    assert scrape(shared.metrics_port)["sutra_http_requests_in_progress"] == 0


def test_calls_to_another_service_are_timed_and_their_errors_counted() -> None:
    with fake_service.running() as fake, running(fake.url) as it:
        refusal = {"error": {"code": "other_made_up", "message": "m"}}
        for reply in ((200, {}), (503, {}), (500, {}), (500, {}), (422, refusal), (200, b"<html>")):
            fake.replies["GET /x"] = reply
            it.ask("/v1/call")
        # A client error that is passed on is not an error of that service.
        fake.replies["GET /x"] = (422, refusal)
        assert it.ask("/v1/forward") == 422
        # A probe is not counted.
        fake.replies["GET /health"] = (500, b"")
        fake.arrived.clear()
        it.ask("/health")
        fake.arrived.wait(GUARD_S)
        found = scrape(it.metrics_port)
    errors = {name: value for name, value in found.items() if name.startswith("sutra_dependency_errors_total")}
    assert errors == {
        'sutra_dependency_errors_total{dependency="other",code="other_not_ready"}': 1,
        'sutra_dependency_errors_total{dependency="other",code="other_failed"}': 4,
    }
    assert found['sutra_dependency_seconds_count{dependency="other"}'] == 7


def test_an_unreachable_service_is_counted() -> None:
    with running(fake_service.closed_url()) as it:
        assert it.ask("/v1/call") == 503
        found = scrape(it.metrics_port)
    assert found['sutra_dependency_errors_total{dependency="other",code="other_unreachable"}'] == 1


@pytest.mark.parametrize(
    ("path", "method", "host", "expected"),
    [
        ("/metrics", "GET", "sutra-x:9464", 200),
        ("/metrics", "HEAD", "localhost", 200),
        ("/metrics", "POST", "localhost", 405),
        ("/", "GET", "localhost", 404),
        ("/health", "GET", "localhost", 404),
        ("/metrics", "GET", "rebind.example", 421),
        ("/metrics", "GET", "a b", 400),
    ],
)
def test_the_port_has_nothing_else(shared: Running, path: str, method: str, host: str, expected: int) -> None:
    assert shared.ask(path, method, shared.metrics_port, Host=host) == expected


def test_the_port_of_the_service_has_no_metrics(shared: Running) -> None:
    assert shared.ask("/metrics") == 404


def test_it_is_off_by_default() -> None:
    with service() as process:
        assert process.stdout is not None
        messages = []
        for line in process.stdout:
            messages.append(json.loads(line)["message"])
            if "running on" in messages[-1]:
                break
    assert not any("metrics" in message for message in messages)


def test_half_open_connections_make_room_for_others() -> None:
    with running() as it, ExitStack() as stack:
        half_open = []
        for port in [it.port, it.metrics_port] * 30:
            half_open.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), GUARD_S)))
            half_open[-1].sendall(b"GET /metrics HTTP/1.1\r\n")
        # Far fewer than 60: both ports share the limit of 20.
        assert scrape(it.metrics_port)["process_open_fds"] < 50
        assert it.ask("/v1/items/a") == 200
        with suppress(ConnectionResetError):
            assert half_open[0].recv(1) == b""


def test_sigterm_ends_it_with_an_idle_scraper() -> None:
    with running() as it:
        with socket.create_connection(("127.0.0.1", it.metrics_port), GUARD_S) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert scraper.recv(15) == b"HTTP/1.1 200 OK"
            it.process.send_signal(signal.SIGTERM)
            output, _ = it.process.communicate(timeout=GUARD_S)
        assert it.process.returncode == 0
        assert "graceful shutdown exceeded" not in output
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", it.metrics_port), GUARD_S)


def test_a_port_in_use_stops_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with service(METRICS_PORT=str(port)) as process:
            output, _ = process.communicate(timeout=GUARD_S)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in output
    assert "METRICS_PORT" in output


@pytest.mark.parametrize(
    ("value", "words"), [("x", "whole number"), ("65536", "65535"), ("-1", "whole number"), ("9000", "use another")]
)
def test_an_invalid_port_is_refused(value: str, words: str) -> None:
    with service(METRICS_PORT=value, PORT="9000") as process:
        output, errors = process.communicate(timeout=GUARD_S)
    assert (process.returncode, output) == (2, "")
    assert "METRICS_PORT" in errors
    assert words in errors
