import os
from pathlib import Path

import pytest

from sutra_nlg.model.processors import processors

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("150000 100000\n", min(2, ALL)),
        ("99999900000 100000\n", ALL),
        ("max 100000\n", ALL),
        ("", ALL),
    ],
)
def test_no_more_than_the_containers_share(content: str, expected: int, tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text(content, encoding="ascii")
    assert processors(limit) == expected


def test_without_a_share_all_of_them(tmp_path: Path) -> None:
    assert processors(tmp_path / "none") == ALL
