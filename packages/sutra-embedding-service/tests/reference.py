"""Reads reference.json, which make_reference.py wrote."""

import base64
import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))


def vector(name: str) -> list[float]:
    """The vector of a sentence."""
    data = base64.b64decode(REFERENCE["sentences"][name]["vector"])
    return list(struct.unpack(f"<{len(data) // 2}e", data))


def tokens(name: str) -> int:
    """The number of tokens of a sentence."""
    return int(REFERENCE["sentences"][name]["tokens"])


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine similarity of two vectors."""
    return math.sumprod(one, other) / math.hypot(*one) / math.hypot(*other)
