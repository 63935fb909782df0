import os
from pathlib import Path

import pytest

from sutra_embedding import processors


@pytest.mark.parametrize(
    ("quota", "number"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 8),
        ("", 8),
    ],
)
def test_the_quota_of_the_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, number: int
) -> None:
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8)
    file = tmp_path / "cpu.max"
    file.write_text(quota, encoding="ascii")
    assert processors.usable(file) == number


def test_without_a_quota_file(tmp_path: Path) -> None:
    assert processors.usable(tmp_path / "none") == os.process_cpu_count()
