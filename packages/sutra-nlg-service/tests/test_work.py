"""Tests of the worker thread and its queue."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sutra_service.errors import ServiceError

from sutra_nlg.work import Stop, Stopped, Worker


def run(test: Callable[[], Any]) -> Any:
    return asyncio.run(test())


def until_stopped(stop: Stop) -> None:
    while True:
        stop.check()
        time.sleep(0.001)


def test_results_and_errors_reach_the_caller() -> None:
    def fail(_stop: Stop) -> None:
        raise KeyError("mine")

    async def test() -> None:
        worker = Worker(1, 5)
        assert await worker.run(lambda _stop: threading.current_thread().name) == "answers"
        with pytest.raises(KeyError, match="mine"):
            await worker.run(fail)
        assert await worker.run(lambda _stop: 7) == 7

    run(test)


def test_jobs_run_one_at_a_time_in_order() -> None:
    order: list[int] = []
    busy = threading.Lock()

    def job(number: int) -> Callable[[Stop], None]:
        def work(_stop: Stop) -> None:
            assert busy.acquire(blocking=False)
            time.sleep(0.005)
            order.append(number)
            busy.release()

        return work

    async def test() -> None:
        worker = Worker(10, 5)
        await asyncio.gather(*(worker.run(job(number)) for number in range(8)))

    run(test)
    assert order == list(range(8))


def test_a_full_queue_rejects_jobs_with_retry_after() -> None:
    gate = threading.Event()

    async def test() -> ServiceError:
        worker = Worker(2, 5)
        accepted = [asyncio.ensure_future(worker.run(lambda _stop: gate.wait())) for _ in range(3)]
        await asyncio.sleep(0.02)
        with pytest.raises(ServiceError) as refused:
            await worker.run(lambda _stop: None)
        gate.set()
        assert await asyncio.gather(*accepted) == [True] * 3
        assert await worker.run(lambda _stop: 1) == 1
        return refused.value

    error = run(test)
    assert (error.status_code, error.code) == (503, "busy")
    assert error.headers == {"Retry-After": "1"}


def test_a_job_stops_at_its_deadline_and_the_next_one_starts() -> None:
    ended = threading.Event()

    def work(stop: Stop) -> None:
        try:
            until_stopped(stop)
        finally:
            ended.set()

    async def test() -> ServiceError:
        worker = Worker(1, 0.05)
        with pytest.raises(ServiceError) as late:
            await worker.run(work)
        assert ended.wait(1)
        assert await worker.run(lambda _stop: 1) == 1
        return late.value

    error = run(test)
    assert (error.status_code, error.code) == (504, "timeout")
    assert "NLG_DEADLINE_SECONDS" in error.detail


def test_a_job_that_waited_too_long_is_never_started() -> None:
    begun: list[str] = []

    async def test() -> None:
        worker = Worker(1, 0.05)
        first = asyncio.ensure_future(worker.run(lambda _stop: time.sleep(0.2)))
        second = asyncio.ensure_future(worker.run(lambda _stop: begun.append("second")))
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [ServiceError, ServiceError]
        await asyncio.sleep(0.3)

    run(test)
    assert begun == []


def test_a_job_stops_when_its_caller_leaves() -> None:
    ended = threading.Event()

    def work(stop: Stop) -> None:
        try:
            until_stopped(stop)
        except Stopped:
            ended.set()

    async def test() -> None:
        worker = Worker(1, 60)
        leaving = asyncio.ensure_future(worker.run(work))
        await asyncio.sleep(0.02)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert await asyncio.to_thread(ended.wait, 1)

    run(test)
