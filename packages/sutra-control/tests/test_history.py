from sutra_control.history import History
from sutra_control.look import Look


def history(*samples: float | None, most: int = 100) -> History:
    kept = History(["nlg"], most)
    for sample in samples:
        kept.record({"nlg": Look("failed", "", 9.9) if sample is None else Look("ok", "", sample)})
    return kept


def test_availability_counts_what_was_ok() -> None:
    assert history().availability("nlg") == (0, 0)
    assert history(1.0, None, 2.0).availability("nlg") == (2, 3)


def test_only_the_last_are_kept() -> None:
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


def test_fewer_samples_than_asked_for_are_as_wide_as_they_will_be() -> None:
    assert history(1.0, 2.0, 3.0).points("nlg", 120, 60) == [(2.0, 1.0), (3.0, 1.0)]
