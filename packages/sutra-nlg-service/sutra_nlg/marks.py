"""Marks such as `[1]` and `[1, 3]`, by which an answer points to its citations."""

import re
from collections.abc import Callable

MARK = re.compile(r"\[(\d{1,9}(?:\s{0,4},\s{0,4}\d{1,9}){0,63})\]")


def numbers(text: str) -> set[int]:
    """Every number that a mark in `text` names."""
    return {number for match in MARK.finditer(text) for number in _numbers(match)}


def replace(text: str, new: Callable[[int], int | None]) -> str:
    """`text` with every number in a mark replaced by `new` of it; None takes it away, and an empty mark."""

    def rewritten(match: re.Match[str]) -> str:
        kept = dict.fromkeys(number for old in _numbers(match) if (number := new(old)) is not None)
        return f"[{', '.join(map(str, kept))}]" if kept else ""

    return MARK.sub(rewritten, text)


def defuse(text: str) -> str:
    """`text` with its marks in round brackets, so that nobody takes them for marks."""
    return MARK.sub(lambda match: f"({match[1]})", text)


def _numbers(match: re.Match[str]) -> list[int]:
    return [int(number) for number in match[1].split(",")]
