"""Reads reference.json, which make_reference.py wrote."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))


def vector(name: str) -> Any:
    """The vector of a sentence."""
    return np.frombuffer(base64.b64decode(REFERENCE["sentences"][name]["vector"]), "<f2").astype(np.float64)


def tokens(name: str) -> int:
    """The number of tokens of a sentence."""
    return int(REFERENCE["sentences"][name]["tokens"])


def cosine(one: Any, other: Any) -> float:
    """The cosine similarity of two vectors."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
