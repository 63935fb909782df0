"""Reads a service's metrics, for tests."""

import re
import urllib.request

LINE = re.compile(r'([a-z_]+(?:\{(?:[a-z_]+="[^"]*",?)*\})?) (\S+)')


def scrape(port: int) -> dict[str, float]:
    """The samples at `http://127.0.0.1:PORT/metrics` by name and labels, as they are written."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    samples = {}
    for line in lines:
        if not line.startswith("#"):
            match = LINE.fullmatch(line)
            if match is None:
                raise ValueError(f"not a sample: {line}")
            samples[match[1]] = float(match[2])
    return samples


def port_in(message: str) -> int:
    """The port in the line `metrics at port 9464` of a service's log."""
    return int(message.removeprefix("metrics at port "))
