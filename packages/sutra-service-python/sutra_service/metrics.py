"""Counters, gauges and histograms, and their text form for Prometheus (version 0.0.4).

Not `prometheus_client`: importing it takes 5 MB of memory in every service, because its HTTP server comes with it. The
tests read the text with its parser.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# From a search to a language model; the last one is the longest deadline of most calls.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

type Labels = tuple[str, ...]
type Samples = Iterator[tuple[str, Mapping[str, str], float]]


class _Metric:
    """What all metrics have. Values of labels must be few: each combination stays in memory."""

    kind = ""

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.about = about
        self._labels = tuple(labels)
        # Threads may count too.
        self._lock = Lock()

    def samples(self) -> Samples:
        """The suffix of the name, the labels and the value of each sample."""
        raise NotImplementedError

    def _named(self, values: Labels) -> dict[str, str]:
        return dict(zip(self._labels, values, strict=True))


class Counter(_Metric):
    """A number that only rises; one for each combination of labels."""

    kind = "counter"

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, about, labels)
        # Without labels, zero is a value too.
        self._values: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, *values: str, by: float = 1) -> None:
        """Add `by` to the number with these values of the labels."""
        with self._lock:
            self._values[values] = self._values.get(values, 0) + by

    def samples(self) -> Samples:
        """See _Metric."""
        with self._lock:
            values = dict(self._values)
        for labels, value in values.items():
            yield "", self._named(labels), value


class Gauge(Counter):
    """A number that rises and falls."""

    kind = "gauge"


class Reading(_Metric):
    """A number that `read` returns whenever it is asked for; None leaves it out."""

    def __init__(self, kind: str, name: str, about: str, read: Callable[[], float | None]) -> None:
        super().__init__(name, about)
        self.kind = kind
        self._read = read

    def samples(self) -> Samples:
        """See _Metric."""
        value = self._read()
        if value is not None:
            yield "", {}, value


class Histogram(_Metric):
    """How many observations are at most as large as each of `bounds`."""

    kind = "histogram"

    def __init__(self, name: str, about: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS) -> None:
        super().__init__(name, about, labels)
        self._bounds = tuple(bounds)
        # The observations by bound, the last without one, and their sum.
        self._values: dict[Labels, list[float]] = {}

    def observe(self, amount: float, *values: str) -> None:
        """Count an observation with these values of the labels."""
        with self._lock:
            numbers = self._values.get(values)
            if numbers is None:
                numbers = self._values[values] = [0.0] * (len(self._bounds) + 2)
            numbers[bisect_left(self._bounds, amount)] += 1
            numbers[-1] += amount

    def samples(self) -> Samples:
        """See _Metric."""
        with self._lock:
            copies = {labels: list(numbers) for labels, numbers in self._values.items()}
        for labels, (*counts, total) in copies.items():
            named, seen = self._named(labels), 0.0
            for bound, count in zip((*self._bounds, math.inf), counts, strict=True):
                seen += count
                # Whole numbers without a point, as the Rust services write them, so that both can be added up.
                yield "_bucket", {**named, "le": _number(bound)}, seen
            yield "_sum", named, total
            yield "_count", named, seen


class Metrics:
    """The metrics of a service."""

    def __init__(self) -> None:
        self._all: dict[str, _Metric] = {}

    def add[M: _Metric](self, metric: M) -> M:
        """Add a metric, and return it. Raises ValueError if its name is taken."""
        if metric.name in self._all:
            raise ValueError(f"there are two metrics {metric.name}; give each its own name")
        self._all[metric.name] = metric
        return metric

    def counter(self, name: str, about: str, labels: Sequence[str] = ()) -> Counter:
        """Add a counter."""
        return self.add(Counter(name, about, labels))

    def gauge(self, name: str, about: str, read: Callable[[], float | None]) -> None:
        """Add a number that `read` returns whenever it is asked for."""
        self.add(Reading("gauge", name, about, read))

    def text(self) -> str:
        """All metrics in Prometheus' text form."""
        lines = []
        for metric in self._all.values():
            lines.append(f"# HELP {metric.name} {_escaped(metric.about)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += [
                f"{metric.name}{suffix}{_label_text(labels)} {_number(value)}"
                for suffix, labels, value in metric.samples()
            ]
        return "\n".join(lines) + "\n"


def _label_text(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = [f'{name}="{_escaped(value).replace('"', r"\"")}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
