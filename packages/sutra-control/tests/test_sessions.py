import pytest

from sutra_control.sessions import Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(most=2, idle_s=100, whole_s=250, clock=clock)


def test_a_token_is_valid_until_the_session_ends(sessions: Sessions) -> None:
    token = sessions.begin("anna")
    found = sessions.find(token)
    assert found
    assert found.operator == "anna"
    sessions.end(token)
    sessions.end(token)
    assert sessions.find(token) is None


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "\ud800"])
def test_invalid_tokens(sessions: Sessions, token: str) -> None:
    sessions.begin("anna")
    assert sessions.find(token) is None


def test_tokens_are_not_stored(sessions: Sessions) -> None:
    token = sessions.begin("anna")
    assert token.encode() not in repr(vars(sessions)).encode()
    assert len(token) >= 43


def test_an_idle_session_ends(sessions: Sessions, clock: Clock) -> None:
    token = sessions.begin("anna")
    clock.now += 99
    assert sessions.find(token)
    clock.now += 99
    assert sessions.find(token)
    clock.now += 100
    assert sessions.find(token) is None


def test_an_active_session_ends_at_its_maximum_duration(sessions: Sessions, clock: Clock) -> None:
    token = sessions.begin("anna")
    for _ in range(4):
        clock.now += 60
        assert sessions.find(token)
    clock.now += 60
    assert sessions.find(token) is None


def test_the_least_recently_used_session_makes_room(sessions: Sessions, clock: Clock) -> None:
    first, second = sessions.begin("anna"), sessions.begin("bert")
    assert sessions.find(first)
    third = sessions.begin("cora")
    assert sessions.find(second) is None
    assert sessions.find(first)
    assert sessions.find(third)


def test_expired_sessions_make_room_first(sessions: Sessions, clock: Clock) -> None:
    sessions.begin("anna")
    clock.now += 60
    second = sessions.begin("bert")
    clock.now += 60
    sessions.begin("cora")
    assert sessions.find(second)
    assert len(sessions._sessions) == 2
