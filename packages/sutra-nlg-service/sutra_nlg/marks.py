"""Citation marks such as `[1]` and `[1, 3]`."""

import re
from collections.abc import Callable

MARK = re.compile(r"\[(\d{1,9}(?:\s{0,4},\s{0,4}\d{1,9}){0,63})\]")


def numbers(text: str) -> set[int]:
    """All numbers in the marks of `text`."""
    return {number for match in MARK.finditer(text) for number in _numbers(match)}


def replace(text: str, new: Callable[[int], int | None]) -> str:
    """Map the numbers in the marks of `text` with `new`; None removes a number. Marks without numbers are removed."""

    def rewritten(match: re.Match[str]) -> str:
        kept = dict.fromkeys(number for old in _numbers(match) if (number := new(old)) is not None)
        return f"[{', '.join(map(str, kept))}]" if kept else ""

    return MARK.sub(rewritten, text)


def defuse(text: str) -> str:
    """Put the marks of `text` in round brackets, so that they no longer count as marks."""
    return MARK.sub(lambda match: f"({match[1]})", text)


def _numbers(match: re.Match[str]) -> list[int]:
    return [int(number) for number in match[1].split(",")]
