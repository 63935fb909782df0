from sutra_service import rate
from sutra_service.rate import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_the_burst_the_rate_applies() -> None:
    clock = Clock()
    limit = RateLimit(per_minute=6, burst=2, clock=clock)
    assert [limit.take("a") for _ in range(3)] == [0, 0, 10]
    clock.now += 4
    assert limit.take("a") == 6
    clock.now += 6
    assert [limit.take("a"), limit.take("a")] == [0, 10]


def test_names_have_separate_limits() -> None:
    limit = RateLimit(1, 1, Clock())
    assert [limit.take("a"), limit.take("b"), limit.take("a")] == [0, 0, 60]


def test_a_long_pause_allows_no_more_than_the_burst() -> None:
    clock = Clock()
    limit = RateLimit(60, 2, clock)
    limit.take("a")
    clock.now += 10_000
    assert [limit.take("a") for _ in range(3)] == [0, 0, 1]


def test_the_number_of_buckets_is_bounded() -> None:
    limit = RateLimit(1, 1, Clock())
    for number in range(rate.REMEMBERED + 50):
        limit.take(str(number))
    assert len(limit._buckets) == rate.REMEMBERED


def test_a_call_can_be_given_back() -> None:
    limit = RateLimit(1, 2, Clock())
    limit.give_back("a")
    assert [limit.take("a"), limit.take("a")] == [0, 0]
    limit.give_back("a")
    assert [limit.take("a"), limit.take("a")] == [0, 60]


def test_giving_back_never_exceeds_the_burst() -> None:
    limit = RateLimit(1, 1, Clock())
    limit.take("a")
    for _ in range(3):
        limit.give_back("a")
    assert [limit.take("a"), limit.take("a")] == [0, 60]
