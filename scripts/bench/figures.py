"""Figures: what was measured, beside what was promised."""

import math
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """Prints figures as they come and remembers whether one was above its bound."""

    missed: list[str] = field(default_factory=list)

    def part(self, title: str) -> None:
        """Begin a part; who shares the machine with others sees by its load what the figures are worth."""
        print(f"\n{title}\n  (load of the last minute {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)", flush=True)

    def figure(self, name: str, value: float, unit: str, bound: float | None = None, digits: int = 1) -> None:
        """One number; above its bound it is marked."""
        over = bound is not None and value > bound
        if over:
            self.missed.append(name)
        limit = "" if bound is None else f" of {bound:,g} {unit}"
        print(f"  {name:44} {value:>10,.{digits}f} {unit}{limit}{'  ABOVE' if over else ''}", flush=True)

    def equal(self, name: str, value: object, expected: object) -> None:
        """Something that must be exactly as expected."""
        if value != expected:
            self.missed.append(name)
        print(f"  {name:44} {value}{'' if value == expected else f'  NOT {expected}'}", flush=True)

    def latencies(self, name: str, seconds: Sequence[float], p95_ms: float | None = None) -> None:
        """Median, 95th percentile (which has the bound) and worst of some answers."""
        self.figure(f"{name}, p50", statistics.median(seconds) * 1000, "ms")
        self.figure(f"{name}, p95", percentile(seconds, 95) * 1000, "ms", p95_ms)
        self.figure(f"{name}, longest of {len(seconds)}", max(seconds) * 1000, "ms")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def say(text: str) -> None:
    """Narration, apart from the figures."""
    print(text, file=sys.stderr, flush=True)
