"""Metrics from the services' own port to the status."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fake_service
import neighbours
import pytest
from conftest import Stack, sign_in
from starlette.testclient import TestClient

from sutra_control import meter
from sutra_control.scrape import Quantile, quantile
from sutra_control.services import DEFAULTS

INF = float("inf")
NAMES = [service.name for service in DEFAULTS] + ["control"]
NONE = {
    "source": None,
    "seconds": None,
    "requests": None,
    "errors": None,
    "p50": None,
    "p95": None,
    "cpu_percent": None,
    "gauges": None,
}


def text(requests: dict[str, int], buckets: dict[str, int], **more: float) -> bytes:
    """Metrics with requests by their labels, buckets by bound for one route, and other metrics."""
    lines = [f"sutra_http_requests_total{{{labels}}} {count}" for labels, count in requests.items()]
    lines += [
        f'sutra_http_request_seconds_bucket{{route="/query",le="{bound}"}} {count}' for bound, count in buckets.items()
    ]
    lines += [f"{name} {value}" for name, value in {"process_start_time_seconds": 1.7e9, **more}.items()]
    return "".join(f"{line}\n" for line in lines).encode()


@dataclass
class Measured:
    stack: Stack
    services: neighbours.FakeServices
    variables: dict[str, str]

    def figures(self, client: TestClient, name: str) -> dict[str, Any]:
        answer = client.get("/api/status")
        assert answer.status_code == 200
        [found] = [service["metrics"] for service in answer.json()["services"] if service["name"] == name]
        return dict(found)


@pytest.fixture
def measured(stack: Stack) -> Iterator[Measured]:
    """Eight services at addresses of their own; each has `/metrics` once a test sets it."""
    with neighbours.running(neighbours.FakeServices(NAMES)) as services:
        variables = {service.variable: services.url_of(service.name) for service in DEFAULTS}
        variables |= {"CONTROL_URL": services.url_of("control"), "SUTRA_METRICS_PORT": str(services.port)}
        yield Measured(stack, services, variables)


QUERY = 'method="POST",route="/query",status="200"'
FAILED = 'method="POST",route="/query",status="503"'
REFUSED = 'method="POST",route="/query",status="422"'
MEMORY = {"process_resident_memory_bytes": 9}
HEALTH = 'method="GET",route="/health",status="200"'


def test_what_happened_since_the_first_scrape(measured: Measured) -> None:
    before = text({QUERY: 100, HEALTH: 900}, {"0.1": 50, "1": 90, "+Inf": 100}, process_cpu_seconds_total=5)
    after = text(
        {QUERY: 115, REFUSED: 4, FAILED: 1, HEALTH: 905},
        {"0.1": 60, "1": 110, "+Inf": 120},
        process_cpu_seconds_total=6.5,
        process_resident_memory_bytes=52_000_000,
    )
    measured.services.metrics["hybrid"] = before
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        first = measured.figures(client, "hybrid")
        measured.services.metrics["hybrid"] = after
        measured.stack.now += 30
        second = measured.figures(client, "hybrid")
    assert first == {**NONE, "reason": "", "gauges": {}}
    assert second == {
        "reason": "",
        "source": None,
        "seconds": 30.0,
        "requests": 20,
        "errors": 1,
        "p50": {"ms": 100.0, "above": False},
        # The 19th of 20 requests, of which 10 took up to 0.1 s and 10 up to 1 s: 0.1 s + 0.9 s * 9 / 10.
        "p95": {"ms": 910.0, "above": False},
        "cpu_percent": 5.0,
        "gauges": {"memory_bytes": 52_000_000},
    }


def test_the_memory_of_vectors_and_its_limit(measured: Measured) -> None:
    gauges = {"sutra_storage_vectors": 7, "sutra_storage_vector_bytes": 2688, "sutra_storage_vector_bytes_limit": 6e8}
    measured.services.metrics["storage"] = text({}, {}, **gauges)
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        found = measured.figures(client, "storage")
    assert found["gauges"] == {"vectors": 7, "vector_bytes": 2688, "vector_bytes_limit": 600_000_000}


def test_the_client_is_measured_by_api(measured: Measured) -> None:
    through, direct = f'{QUERY},via="client"', f'{QUERY},via="direct"'
    measured.services.metrics["api"] = text({through: 5, direct: 70}, {"+Inf": 75})
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        assert measured.figures(client, "client") == {**NONE, "reason": "", "source": "api"}
        measured.services.metrics["api"] = text({through: 8, direct: 90}, {"+Inf": 98})
        measured.stack.now += 10
        page, api = measured.figures(client, "client"), measured.figures(client, "api")
    assert (page["source"], page["seconds"], page["requests"], page["errors"]) == ("api", 10.0, 3, 0)
    assert (api["source"], api["requests"]) == (None, 23)
    asked = [request for request, host in measured.services.requests if host.startswith("127.0.0.2:")]
    assert set(asked) == {"GET /health"}, "the client has no metrics port"


def test_the_window_is_a_minute(measured: Measured) -> None:
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        for number in range(20):
            measured.services.metrics["nlg"] = text({QUERY: number * number}, {})
            measured.stack.now += 10
            found = measured.figures(client, "nlg")
    assert (found["seconds"], found["requests"]) == (60.0, 19 * 19 - 13 * 13)


def test_a_longer_interval_is_used_if_scrapes_are_rare(measured: Measured) -> None:
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        for number in range(4):
            measured.services.metrics["nlg"] = text({QUERY: number * number}, {})
            measured.stack.now += 600
            found = measured.figures(client, "nlg")
    assert (found["seconds"], found["requests"]) == (600.0, 5)


@pytest.mark.parametrize(
    "restarted",
    [
        text({QUERY: 2}, {"1": 2, "+Inf": 2}, process_start_time_seconds=1.8e9),
        text({QUERY: 2}, {"1": 2, "+Inf": 2}),
        text({QUERY: 50}, {"1": 49, "+Inf": 60}),
        text({QUERY: 50}, {}),
    ],
)
def test_a_restart_begins_a_new_measurement(measured: Measured, restarted: bytes) -> None:
    measured.services.metrics["nlg"] = text({QUERY: 50}, {"1": 50, "+Inf": 50})
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        measured.figures(client, "nlg")
        measured.services.metrics["nlg"] = restarted
        measured.stack.now += 10
        found = measured.figures(client, "nlg")
    assert (found["requests"], found["p50"], found["reason"]) == (None, None, "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!doctype html>\n", "line 1: invalid metric name"),
        (b"sutra_http_requests_total -1\n", "which no counter can be"),
        (b"sutra_http_requests_total NaN\n", "which no counter can be"),
        (b'sutra_http_request_seconds_bucket{le="fast"} 1\n', "invalid bound"),
        (b'sutra_http_request_seconds_bucket{le="NaN"} 1\n', "invalid bound"),
        (b"# " + b"x" * meter.MAX_BYTES + b"\n", f"more than {meter.MAX_BYTES} bytes"),
        (b"process_resident_memory_bytes 1", "incomplete"),
    ],
)
def test_invalid_metrics_are_no_metrics(measured: Measured, content: bytes, reason: str) -> None:
    measured.services.metrics["nlg"] = content
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        found = measured.figures(client, "nlg")
        assert client.get("/api/status").json()["down"] == [], "metrics do not affect the health"
    assert reason in found.pop("reason")
    assert found == NONE


@pytest.mark.parametrize("content", [b"process_resident_memory_bytes NaN\n", b"process_resident_memory_bytes 1e300\n"])
def test_an_impossible_gauge_is_left_out(measured: Measured, content: bytes) -> None:
    measured.services.metrics["nlg"] = content
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        assert measured.figures(client, "nlg")["gauges"] == {}


def test_services_without_metrics(measured: Measured) -> None:
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        assert measured.figures(client, "nlg")["reason"] == "/metrics answered 404"
    closed = fake_service.closed_url().rpartition(":")[2]
    with measured.stack.client(**{**measured.variables, "SUTRA_METRICS_PORT": closed}) as client:
        sign_in(client)
        reasons = [measured.figures(client, name)["reason"] for name in ("nlg", "client")]
        assert client.get("/api/status").json()["down"] == []
    assert f"cannot reach nlg-metrics at http://{measured.services.addresses['nlg']}:{closed}" in reasons[0]
    assert "SUTRA_METRICS_PORT" in reasons[0]
    assert reasons[1].startswith("api counts the client's requests: cannot reach api-metrics")


def test_metrics_can_be_switched_off(measured: Measured) -> None:
    with measured.stack.client(**{**measured.variables, "SUTRA_METRICS_PORT": "0"}) as client:
        sign_in(client)
        assert measured.figures(client, "nlg")["reason"] == "SUTRA_METRICS_PORT is 0"
    assert not any(request.endswith("/metrics") for request, _ in measured.services.requests)


def test_metrics_that_recover_are_shown_again(measured: Measured) -> None:
    with measured.stack.client(**measured.variables) as client:
        sign_in(client)
        assert measured.figures(client, "nlg")["reason"]
        measured.services.metrics["nlg"] = text({}, {}, process_resident_memory_bytes=9)
        measured.stack.now += 10
        assert measured.figures(client, "nlg")["gauges"] == {"memory_bytes": 9}
        del measured.services.metrics["nlg"]
        measured.stack.now += 10
        assert measured.figures(client, "nlg")["reason"] == "/metrics answered 404"


@pytest.mark.parametrize(
    ("share", "later", "expected"),
    [
        (0.5, {0.1: 10.0, 1.0: 20.0, INF: 20.0}, Quantile(100.0, above=False)),
        (0.25, {0.1: 10.0, 1.0: 20.0, INF: 20.0}, Quantile(50.0, above=False)),
        (0.5, {0.1: 0.0, 1.0: 4.0, INF: 4.0}, Quantile(550.0, above=False)),
        (0.95, {0.1: 1.0, 1.0: 2.0, INF: 4.0}, Quantile(1000.0, above=True)),
        (0.5, {INF: 4.0}, Quantile(0.0, above=True)),
        (0.5, {0.1: 0.0, INF: 0.0}, None),
        (0.5, {0.1: 5.0}, None),
        (0.5, {}, None),
    ],
)
def test_quantiles(share: float, later: dict[float, float], expected: Quantile | None) -> None:
    assert quantile(share, {}, later) == expected


def test_the_export_has_the_figures(measured: Measured) -> None:
    with measured.stack.client(**measured.variables, SUTRA_EDITION="enterprise") as client:
        sign_in(client)
        measured.figures(client, "nlg")
        for count in (0, 4):
            measured.services.metrics["nlg"] = text({QUERY: count}, {"1": count, "+Inf": count}, **MEMORY)
            measured.stack.now += 10
            measured.figures(client, "nlg")
        rows = {row["service"]: row for row in csv.DictReader(client.get("/api/export?format=csv").text.splitlines())}
    columns = ("requests", "errors", "measured_s", "p50_ms", "p95_ms", "memory_bytes")
    assert [rows["nlg"][column] for column in columns] == ["4", "0", "10.0", "500.0", "950.0", "9"]
    assert [rows["api"][column] for column in columns] == [""] * 6
