"""A question has one time for all its calls; hybrid's clock is the test's."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from world import World, code

from sutra_hybrid import capabilities

one_at_a_time = threading.Lock()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: name)


def learn(world: World) -> None:
    with world.hybrid() as client:
        client.post("/learn", json={"texts": ["sea one", "ship two"]})
    world.storage.requests.clear()
    world.embedding.requests.clear()


def taking(world: World, seconds: float, reply: Any) -> Callable[[Any], tuple[int, Any]]:
    """The reply after `seconds` of hybrid's clock."""

    def answer(body: Any) -> tuple[int, Any]:
        # Two services answer at once, each on its thread.
        with one_at_a_time:
            world.now += seconds
        result: tuple[int, Any] = reply(body)
        return result

    return answer


def test_what_embedding_and_storage_took_is_not_there_for_nlg(world: World) -> None:
    learn(world)
    world.embedding.replies["POST /embed"] = taking(world, 9, world.embedding.replies["POST /embed"])
    world.storage.replies["POST /v1/search"] = taking(world, 9.5, world.storage.replies["POST /v1/search"])
    with world.hybrid() as client:
        answer = client.post("/query", json={"question": "sea"})
    # Two searches, one of them after embedding: 9 + 9.5 + 9.5 seconds.
    assert code(answer) == (504, "nlg_timeout")
    assert "the 28 s of a question were over before nlg" in answer.json()["error"]["message"]
    assert world.nlg.requests == []


def test_an_answer_in_the_last_second_is_one(world: World) -> None:
    learn(world)
    world.storage.replies["POST /v1/search"] = taking(world, 9, world.storage.replies["POST /v1/search"])
    world.nlg.replies["POST /generate"] = taking(world, 9.5, world.nlg.replies["POST /generate"])
    with world.hybrid() as client:
        assert client.post("/query", json={"question": "sea"}).status_code == 200
        # The next question has its own time.
        assert client.post("/query", json={"question": "sea"}).status_code == 200


def test_nlg_is_left_when_the_time_is_over(world: World) -> None:
    learn(world)
    # All but a hundredth of a second is gone when nlg is asked, and nlg never answers.
    world.storage.replies["POST /v1/search"] = taking(world, 13.995, world.storage.replies["POST /v1/search"])
    world.nlg.gate.clear()
    with world.hybrid(SUTRA_HYBRID_NLG_DEADLINE_SECONDS="600") as client:
        answer = client.post("/query", json={"question": "sea"})
        state = client.get("/health").json()["dependencies"]["nlg"]
        world.nlg.gate.set()
    assert code(answer) == (504, "nlg_timeout")
    assert "28 s of a question" in answer.json()["error"]["message"]
    # Its own deadline was not over: it is not nlg that is to blame.
    assert state == "unknown"


def test_the_tasks_of_a_question_share_its_time(world: World) -> None:
    learn(world)
    world.embedding.replies["POST /embed"] = taking(world, 28, world.embedding.replies["POST /embed"])
    with world.hybrid() as client:
        answer = client.post("/query", json={"question": "sea"})
    assert code(answer) == (504, "storage_timeout")
    assert not any("vector" in body for name, body in world.storage.requests if name == "POST /v1/search")


def test_topics_have_the_same_time(world: World, installed: None) -> None:
    learn(world)
    world.embedding.replies["POST /embed"] = taking(world, 5, world.embedding.replies["POST /embed"])
    with world.hybrid(SUTRA_EDITION="community", SUTRA_HYBRID_QUESTION_SECONDS="5") as client:
        answer = client.post("/topics", json={"question": "sea"})
    assert code(answer) == (504, "storage_timeout")
    assert "the 5 s of a question" in answer.json()["error"]["message"]


def test_learning_is_no_question(world: World) -> None:
    world.embedding.replies["POST /embed"] = taking(world, 100, world.embedding.replies["POST /embed"])
    with world.hybrid() as client:
        assert client.post("/learn", json={"texts": ["a"]}).status_code == 200
