import math
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from sutra_service.metrics import Counter, Gauge, Histogram, Metrics


def read(metrics: Metrics) -> dict[str, tuple[str, str, dict[tuple[str, tuple[tuple[str, str], ...]], float]]]:
    """What Prometheus' own parser makes of the text: for each name the kind, the description and the samples."""
    return {
        family.name: (
            family.type,
            family.documentation,
            {(sample.name, tuple(sample.labels.items())): sample.value for sample in family.samples},
        )
        for family in parse(metrics.text())
    }


def test_prometheus_reads_a_counter() -> None:
    metrics = Metrics()
    calls = metrics.counter("calls_total", "All calls.", ("method", "status"))
    assert read(metrics) == {"calls": ("counter", "All calls.", {})}
    calls.add("GET", "200")
    calls.add("GET", "200", by=2)
    calls.add("POST", "500")
    assert read(metrics)["calls"][2] == {
        ("calls_total", (("method", "GET"), ("status", "200"))): 3,
        ("calls_total", (("method", "POST"), ("status", "500"))): 1,
    }


def test_a_counter_without_labels_starts_at_zero() -> None:
    metrics = Metrics()
    metrics.counter("calls_total", "All calls.")
    assert read(metrics)["calls"][2] == {("calls_total", ()): 0}


def test_prometheus_reads_gauges() -> None:
    metrics = Metrics()
    running = metrics.add(Gauge("running", "Now."))
    running.add(by=2.5)
    running.add(by=-3)
    metrics.gauge("waiting", "Waiting.", lambda: 7)
    metrics.gauge("unknown", "Not readable.", lambda: None)
    found = read(metrics)
    assert found["running"] == ("gauge", "Now.", {("running", ()): -0.5})
    assert found["waiting"] == ("gauge", "Waiting.", {("waiting", ()): 7})
    assert found["unknown"] == ("gauge", "Not readable.", {})


def test_prometheus_reads_a_histogram() -> None:
    metrics = Metrics()
    seconds = metrics.add(Histogram("seconds", "Time.", ("route",), (0.1, 1)))
    for amount in (0.05, 0.1, 0.5, 2):
        seconds.observe(amount, "/a")
    kind, _, samples = read(metrics)["seconds"]
    assert kind == "histogram"
    assert samples == {
        ("seconds_bucket", (("route", "/a"), ("le", "0.1"))): 2,
        ("seconds_bucket", (("route", "/a"), ("le", "1"))): 3,
        ("seconds_bucket", (("route", "/a"), ("le", "+Inf"))): 4,
        ("seconds_sum", (("route", "/a"),)): pytest.approx(2.65),
        ("seconds_count", (("route", "/a"),)): 4,
    }


@pytest.mark.parametrize("text", ['a "b"', "back\\slash", "two\nlines", '\\"\n', "ünï", "{a=b}, c", "\\n", " #"])
def test_prometheus_reads_any_label(text: str) -> None:
    metrics = Metrics()
    metrics.counter("calls_total", f"About {text}.", ("name",)).add(text)
    assert read(metrics)["calls"][1:] == (f"About {text}.", {("calls_total", (("name", text),)): 1})


@pytest.mark.parametrize("value", [0, 1, -1, 0.1, 1e-9, 2**53 + 2, 1e300, 1_800_000_000.123, math.inf, -math.inf])
def test_prometheus_reads_any_number(value: float) -> None:
    metrics = Metrics()
    metrics.gauge("number", "A number.", lambda: value)
    assert read(metrics)["number"][2] == {("number", ()): value}


def test_two_metrics_of_one_name_are_refused() -> None:
    metrics = Metrics()
    metrics.counter("calls_total", "All calls.")
    with pytest.raises(ValueError, match="two metrics calls_total"):
        metrics.gauge("calls_total", "All calls.", lambda: 1)


def test_the_number_of_label_values_must_fit() -> None:
    calls = Counter("calls_total", "All calls.", ("method",))
    calls.add("GET", "200")
    with pytest.raises(ValueError, match="longer"):
        list(calls.samples())


def test_threads_lose_no_count() -> None:
    metrics = Metrics()
    calls = metrics.counter("calls_total", "All calls.")
    threads = [threading.Thread(target=lambda: [calls.add() for _ in range(10_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(metrics)["calls"][2] == {("calls_total", ()): 40_000}
