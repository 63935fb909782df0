import asyncio
import threading
from typing import Any

import pytest
from sutra_service.errors import ServiceError

from sutra_embedding.batches import MAX_CHARACTERS, MAX_TOKENS
from sutra_embedding.encoder import Batch, Tokenized
from sutra_embedding.passages import Measured, Passage
from sutra_embedding.work_queue import PASSAGES, WorkQueue


class FakeEncoder:
    """Each vector is the length of its text, each text is a batch, and every call waits while the gate is closed."""

    name = "fake"
    dimension = 1
    max_tokens = 5

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.order: list[str] = []
        self.turns: list[str] = []
        self.threads: list[threading.Thread] = []
        self.running = 0
        self.most_running = 0

    def tokenize(self, texts: list[str]) -> list[Tokenized]:
        self.gate.wait(5)
        self.turns.append(f"tokenize {len(texts)}")
        return [Tokenized(text, [0] * (MAX_TOKENS + len(text))) for text in texts]

    def measure(self, text: str) -> Measured:
        """Five letters are the maximum."""
        self.gate.wait(5)
        self.turns.append("measure")
        self.threads.append(threading.current_thread())
        return Measured(list(range(min(5, len(text)))), 5 if len(text) > 5 else None)

    def run(self, batch: Batch) -> Any:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.gate.wait(5)
        self.turns.append(f"run {batch.texts[0].text[:5]}")
        self.order += [text.text for text in batch.texts]
        self.threads.append(threading.current_thread())
        self.running -= 1
        return [[len(text.text)] for text in batch.texts]


def test_vectors_are_in_the_same_order_as_the_texts() -> None:
    vectors = asyncio.run(WorkQueue(4, 5, short=0).embed(FakeEncoder(), ["a", "bb", "ccc"]))
    assert vectors == [[1], [2], [3]]


def test_a_short_request_does_not_wait_for_a_whole_long_one() -> None:
    encoder = FakeEncoder()
    queue = WorkQueue(4, 5, short=0)

    async def both() -> None:
        encoder.gate.clear()
        long = asyncio.create_task(queue.embed(encoder, ["long"] * 5))
        await asyncio.sleep(0.02)
        short = asyncio.create_task(queue.embed(encoder, ["short"]))
        await asyncio.sleep(0.02)
        encoder.gate.set()
        await asyncio.gather(long, short)

    asyncio.run(both())
    assert encoder.order.index("short") == 1
    assert encoder.most_running == 1


def test_a_short_request_does_not_wait_for_a_long_list_to_be_tokenized() -> None:
    encoder = FakeEncoder()
    queue = WorkQueue(4, 5, short=0)

    async def both() -> None:
        encoder.gate.clear()
        long = asyncio.create_task(
            queue.embed(encoder, ["long" * (MAX_CHARACTERS // 8)] * 3 + ["later" * MAX_CHARACTERS])
        )
        await asyncio.sleep(0.02)
        short = asyncio.create_task(queue.embed(encoder, ["short"]))
        await asyncio.sleep(0.02)
        encoder.gate.set()
        vectors, _ = await asyncio.gather(long, short)
        assert vectors == [[MAX_CHARACTERS // 2]] * 3 + [[MAX_CHARACTERS * 5]]

    asyncio.run(both())
    assert encoder.turns == [
        *("tokenize 2", "tokenize 1", "run short", "tokenize 1", "tokenize 1"),
        *("run later", "run longl", "run longl", "run longl"),
    ]


def test_a_full_queue_rejects_requests_and_recovers() -> None:
    encoder = FakeEncoder()
    queue = WorkQueue(2, 5, short=0)

    async def scene() -> None:
        encoder.gate.clear()
        waiting = [asyncio.create_task(queue.embed(encoder, ["a"])) for _ in range(2)]
        await asyncio.sleep(0.02)
        with pytest.raises(ServiceError) as caught:
            await queue.embed(encoder, ["b"])
        assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
        assert caught.value.headers == {"Retry-After": "1"}
        encoder.gate.set()
        await asyncio.gather(*waiting)
        assert (await queue.embed(encoder, ["cc"])) == [[2]]

    asyncio.run(scene())


def test_a_request_past_its_deadline_is_not_computed() -> None:
    encoder = FakeEncoder()
    queue = WorkQueue(4, 0.05, short=0)

    async def scene() -> None:
        encoder.gate.clear()
        first = asyncio.create_task(queue.embed(encoder, ["first"]))
        await asyncio.sleep(0)
        with pytest.raises(ServiceError, match=r"not embedded within 0[.]05 s"):
            await queue.embed(encoder, ["late"])
        encoder.gate.set()
        await asyncio.gather(first, return_exceptions=True)
        assert (await queue.embed(encoder, ["next"])) == [[4]]

    asyncio.run(scene())
    assert encoder.order == ["first", "next"]


def test_a_single_short_text_is_computed_immediately() -> None:
    encoder = FakeEncoder()
    queue = WorkQueue(4, 5, short=3)

    async def scene() -> None:
        assert (await queue.embed(encoder, ["abc"])) == [[3]]
        assert (await queue.embed(encoder, ["abcd"])) == [[4]]
        assert (await queue.embed(encoder, ["a", "b"])) == [[1], [1]]
        encoder.gate.clear()
        long = asyncio.create_task(queue.embed(encoder, ["abcd"]))
        await asyncio.sleep(0.02)
        # The queue is not empty, so this text has to wait and does not block the event loop.
        short = asyncio.create_task(queue.embed(encoder, ["abc"]))
        await asyncio.sleep(0.02)
        encoder.gate.set()
        await asyncio.gather(long, short)

    asyncio.run(scene())
    assert [thread is threading.main_thread() for thread in encoder.threads] == [True, *[False] * 5]


def test_texts_are_cut_in_turns_with_other_requests() -> None:
    encoder = FakeEncoder()
    queue = WorkQueue(2, 5, short=0)

    async def both() -> None:
        encoder.gate.clear()
        long = asyncio.create_task(queue.cut(encoder, ["a" * 5 * PASSAGES, "", "bb", "c" * 11]))
        await asyncio.sleep(0.02)
        short = asyncio.create_task(queue.embed(encoder, ["short"]))
        await asyncio.sleep(0.02)
        with pytest.raises(ServiceError, match="2 requests are waiting"):
            await queue.cut(encoder, ["a"])
        encoder.gate.set()
        passages, _ = await asyncio.gather(long, short)
        assert [len(found) for found in passages] == [PASSAGES, 0, 1, 3]
        assert passages[2:] == [[Passage(0, 2)], [Passage(0, 5), Passage(5, 10), Passage(10, 11)]]

    asyncio.run(both())
    turn = encoder.turns.index("run short")
    assert 0 < turn < len(encoder.turns) - 4
    assert threading.main_thread() not in encoder.threads


def test_cutting_past_the_deadline_is_given_up() -> None:
    encoder = FakeEncoder()

    async def scene() -> None:
        encoder.gate.clear()
        with pytest.raises(ServiceError, match=r"the texts were not cut within 0[.]05 s"):
            await WorkQueue(4, 0.05).cut(encoder, ["abc"])
        encoder.gate.set()

    asyncio.run(scene())
