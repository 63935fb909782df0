"""Texts that are deleted while they are learned."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from backends import Backends, code
from starlette.testclient import TestClient

from sutra_hybrid import learning
from sutra_hybrid.deletions import Deletions, Learning
from sutra_hybrid.identity import identify
from sutra_hybrid.passages import About, Place

LONG = " ".join(f"word{number}" for number in range(40))
NAME = identify(LONG)
TEXTS = [{"text": LONG, "source": "s"}, {"text": "short", "source": "other"}]


def in_between(backends: Backends, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> list[Any]:
    """Store two passages at a time, and `act` when some passages of LONG are stored and others are not.

    Returns the results.
    """
    monkeypatch.setattr(learning, "GROUP", 2)
    backends.encoder.max_tokens, backends.encoder.max_texts = 12, 2
    put, embed = backends.storage.replies["POST /v1/concepts"], backends.embedding.replies["POST /embed"]
    stored, results = threading.Event(), []

    def putting(body: Any) -> Any:
        answer = put(body)
        stored.set()
        return answer

    def embedding(body: Any) -> Any:
        if not body["texts"][0].startswith("word0 ") and not results:
            assert stored.wait(60)
            results.append(act())
        return embed(body)

    backends.storage.replies["POST /v1/concepts"] = putting
    backends.embedding.replies["POST /embed"] = embedding
    return results


def learn(client: TestClient) -> Any:
    return client.post("/learn", json={"texts": TEXTS})


@pytest.mark.parametrize("path", [f"/concepts/{NAME}", "/concepts?source=s"])
@pytest.mark.parametrize("source", [None, "s", "earlier"])
def test_a_text_that_is_deleted_while_it_is_learned_is_gone(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, path: str, source: str | None
) -> None:
    with backends.hybrid() as client:
        if source:
            # There are passages of it already.
            backends.encoder.max_tokens = 12
            client.post("/learn", json={"texts": [{"text": LONG, "source": source}]})
        results = in_between(backends, monkeypatch, lambda: client.delete(path))
        assert learn(client).status_code == 200
        assert [answer.status_code for answer in results] == [200]
        assert set(backends.concepts) == {identify("short")}
        # It can be learned again.
        assert learn(client).status_code == 200
        assert client.get(f"/concepts/{NAME}").json()["text"] == LONG


def test_other_deletions_do_not_matter(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    with backends.hybrid() as client:
        results = in_between(backends, monkeypatch, lambda: client.delete("/concepts?source=another"))
        assert learn(client).status_code == 200
        assert [answer.json() for answer in results] == [{"deleted": 0}]
        assert client.get(f"/concepts/{NAME}").json()["text"] == LONG


def test_a_deletion_that_fails_does_not_leave_a_learned_text_incomplete(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete() -> Any:
        backends.storage.replies["POST /v1/delete"] = lambda _: (500, {})
        return client.delete(f"/concepts/{NAME}")

    with backends.hybrid() as client:
        results = in_between(backends, monkeypatch, delete)
        assert code(learn(client)) == (503, "deletion_failed")
        assert [answer.status_code for answer in results] == [502]
        assert learn(client).status_code == 200
        assert client.get(f"/concepts/{NAME}").json()["text"] == LONG


class Passage:
    def __init__(self, number: int, of: int = 3) -> None:
        self.place, self.about = Place(NAME, number, of), About("s")


async def steps() -> None:
    """Let other tasks go as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("of", [{"text_id": NAME}, {"source": "s"}])
def test_calls_that_store_and_delete_the_same_text_wait_for_each_other(of: dict[str, str]) -> None:
    async def run() -> None:
        deletions, done = Deletions(), []

        async def delete() -> None:
            async with deletions.deleting(**of) as begun:
                done.append(f"deleting {len(begun)}")
                await go_on.wait()
                done.append("deleted")

        async def store(learning: Learning, passage: Passage) -> None:
            async with deletions.storing(learning, [passage]) as kept:
                done.append(f"storing {len(kept)}")

        with deletions.learning() as learning, deletions.learning() as other:
            go_on = asyncio.Event()
            async with deletions.storing(learning, [Passage(1)]):
                deleting = asyncio.create_task(delete())
                await steps()
                assert done == []
            await steps()
            storing = asyncio.create_task(store(learning, Passage(2)))
            await steps()
            assert done == ["deleting 1"]
            # A text of one passage is whole in any order.
            await store(other, Passage(1, of=1))
            assert done == ["deleting 1", "storing 1"]
            go_on.set()
            await asyncio.gather(deleting, storing)
            assert done[2:] == ["deleted", "storing 0"]
            # Another request may store it.
            await store(other, Passage(1))
            assert done[4:] == ["storing 1"]

    asyncio.run(run())


def test_nothing_waits_for_a_call_that_failed() -> None:
    async def run() -> None:
        deletions = Deletions()
        with deletions.learning() as learning:
            with pytest.raises(ZeroDivisionError):
                async with deletions.storing(learning, [Passage(1)]):
                    raise ZeroDivisionError
            with pytest.raises(ZeroDivisionError):
                async with deletions.deleting(text_id=NAME):
                    raise ZeroDivisionError
            async with deletions.storing(learning, [Passage(2)]) as kept:
                assert len(kept) == 1
            assert learning.disturbed == {NAME}

    asyncio.run(run())
