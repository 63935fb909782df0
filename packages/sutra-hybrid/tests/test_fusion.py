import pytest

from sutra_hybrid.fusion import fuse


def test_the_sum_of_reciprocal_ranks() -> None:
    fused = fuse([["a", "b", "c"], ["d", "c"]])
    assert list(fused) == ["c", "a", "d", "b"]
    assert fused["c"] == pytest.approx((1 / 63 + 1 / 62) / (2 / 61))
    assert fused["a"] == fused["d"] == pytest.approx(0.5)
    assert fused["b"] == pytest.approx((1 / 62) / (2 / 61))


def test_first_in_every_ranking_scores_one() -> None:
    assert fuse([["a"], ["a", "b"], ["a"]])["a"] == pytest.approx(1)


def test_an_empty_ranking_counts() -> None:
    assert fuse([["a"], []]) == {"a": pytest.approx(0.5)}


def test_two_middling_ranks_beat_one_first_rank() -> None:
    first = ["x", *(f"only{n}" for n in range(9)), "both"]
    second = [*(f"other{n}" for n in range(10)), "both"]
    assert next(iter(fuse([first, second]))) == "both"


@pytest.mark.parametrize("rankings", [[], [[]], [[], []]])
def test_no_results(rankings: list[list[str]]) -> None:
    assert fuse(rankings) == {}
