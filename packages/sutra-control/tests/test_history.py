from sutra_control.health import HealthReport
from sutra_control.history import History


def history(*samples: float | None, most: int = 100) -> History:
    kept = History(["nlg"], most)
    for sample in samples:
        kept.record({"nlg": HealthReport("failed", "", 9.9) if sample is None else HealthReport("ok", "", sample)})
    return kept


def test_availability_counts_ok_samples() -> None:
    assert history().availability("nlg") == (0, 0)
    assert history(1.0, None, 2.0).availability("nlg") == (2, 3)


def test_only_the_latest_samples_are_kept() -> None:
    kept = history(1.0, None, 2.0, most=2)
    assert kept.samples("nlg") == [None, 2.0]
    assert kept.availability("nlg") == (1, 2)


def test_points() -> None:
    kept = history(5.0, 1.0, None, None, None, 3.0)
    assert kept.points("nlg", 6, 6) == [(5.0, 1.0), (1.0, 1.0), (None, 0.0), (None, 0.0), (None, 0.0), (3.0, 1.0)]
    assert kept.points("nlg", 6, 3) == [(5.0, 1.0), (None, 0.0), (3.0, 0.5)]
    assert kept.points("nlg", 2, 60) == [(None, 0.0), (3.0, 1.0)]
    assert kept.points("nlg", 1, 60) == [(3.0, 1.0)]
    assert history().points("nlg", 60, 60) == []


def test_the_width_of_points_depends_on_the_requested_samples() -> None:
    assert history(1.0, 2.0, 3.0).points("nlg", 120, 60) == [(2.0, 1.0), (3.0, 1.0)]
