import os
from pathlib import Path

import pytest

from sutra_service import processors


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8)
    (tmp_path / "cpu").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "number"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("9900000 100000\n", 8),
        ("", 8),
    ],
)
def test_the_cgroup_v2_quota_is_respected(cgroups: Path, quota: str, number: int) -> None:
    (cgroups / "cpu.max").write_text(quota, encoding="ascii")
    assert processors.usable(cgroups) == number


@pytest.mark.parametrize(("quota", "number"), [("-1\n", 8), ("150000\n", 2), ("10000\n", 1), ("9900000\n", 8)])
def test_the_cgroup_v1_quota_is_respected(cgroups: Path, quota: str, number: int) -> None:
    (cgroups / "cpu/cpu.cfs_quota_us").write_text(quota, encoding="ascii")
    (cgroups / "cpu/cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    assert processors.usable(cgroups) == number


def test_without_a_quota(cgroups: Path) -> None:
    assert processors.usable(cgroups) == 8
    assert processors.usable(cgroups / "none") == 8


def test_this_machine() -> None:
    assert processors.usable() >= 1
