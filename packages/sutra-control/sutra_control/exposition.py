"""Reads Prometheus' text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import re
from dataclasses import dataclass

MAX_SAMPLES = 5000

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
BLANK = re.compile(r"[ \t]*")
LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\["\\n])*)"[ \t]*')
# A value and an optional timestamp in milliseconds.
VALUE = re.compile(r"[ \t]*([^ \t]+)(?:[ \t]+(-?[0-9]+))?[ \t]*")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
TYPE = re.compile(r"#[ \t]*TYPE[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]+(counter|gauge|histogram|summary|untyped)[ \t]*")
IS_TYPE = re.compile(r"#[ \t]*TYPE[ \t]")
ESCAPE = re.compile(r"\\(.)")
ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}


class ExpositionError(ValueError):
    """The text is not in the format; the message names the line."""


@dataclass(frozen=True)
class Sample:
    """A value of a metric; for a histogram, of one of its series such as `NAME_bucket`."""

    name: str
    labels: dict[str, str]
    value: float


def read(content: bytes) -> list[Sample]:
    """Read all samples. Timestamps are checked and dropped.

    Raises ExpositionError for anything that is not in the format, for a series that is there twice, and for more than
    MAX_SAMPLES samples.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ExpositionError("not UTF-8") from None
    if text and not text.endswith("\n"):
        raise ExpositionError("the last line does not end with a line feed; the text may be incomplete")
    samples: dict[tuple[str, frozenset[tuple[str, str]]], Sample] = {}
    types: set[str] = set()
    # Not splitlines(), which also splits at characters that a label may contain.
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t")
        if stripped.startswith("#"):
            _check_comment(stripped, types, number)
        elif stripped:
            sample = _sample(stripped, number)
            series = sample.name, frozenset(sample.labels.items())
            if series in samples:
                raise ExpositionError(f"line {number}: duplicate series of {sample.name}")
            if len(samples) == MAX_SAMPLES:
                raise ExpositionError(f"more than {MAX_SAMPLES} samples")
            samples[series] = sample
    return list(samples.values())


def _check_comment(line: str, types: set[str], number: int) -> None:
    if not IS_TYPE.match(line):
        return
    match = TYPE.fullmatch(line)
    if match is None:
        raise ExpositionError(f"line {number}: invalid TYPE")
    if match[1] in types:
        raise ExpositionError(f"line {number}: second TYPE of {match[1]}")
    types.add(match[1])


def _sample(line: str, number: int) -> Sample:
    name = NAME.match(line)
    if name is None:
        raise ExpositionError(f"line {number}: invalid metric name")
    labels, end = _labels(line, name.end(), number)
    value = VALUE.fullmatch(line, end)
    # Without labels, a blank must end the name.
    if value is None or (end == name.end() and line[end] not in " \t"):
        raise ExpositionError(f"line {number}: expected a value and an optional timestamp after {name[0]}")
    if NUMBER.fullmatch(value[1]) is None:
        raise ExpositionError(f"line {number}: the value of {name[0]} is not a number")
    return Sample(name[0], labels, float(value[1]))


def _labels(line: str, start: int, number: int) -> tuple[dict[str, str], int]:
    """The labels in braces from `start` on, and the offset after them."""
    labels: dict[str, str] = {}
    brace = _skip(line, start)
    if not line.startswith("{", brace):
        return labels, start
    end = _skip(line, brace + 1)
    # A comma may follow the last label.
    while not line.startswith("}", end):
        label = LABEL.match(line, end)
        if label is None:
            raise ExpositionError(f"line {number}: invalid label")
        if label[1] in labels:
            raise ExpositionError(f"line {number}: duplicate label {label[1]}")
        labels[label[1]] = ESCAPE.sub(lambda escape: ESCAPED[escape[1]], label[2])
        end = label.end()
        if line.startswith(",", end):
            end = _skip(line, end + 1)
        elif not line.startswith("}", end):
            raise ExpositionError(f"line {number}: expected , or }} after label {label[1]}")
    return labels, end + 1


def _skip(line: str, start: int) -> int:
    blank = BLANK.match(line, start)
    return blank.end() if blank else start
