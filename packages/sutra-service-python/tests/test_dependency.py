import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import fake_service
import h11
import pytest

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError


@pytest.fixture
def fake() -> Iterator[fake_service.FakeService]:
    with fake_service.running() as fake:
        yield fake


def use(url: str, act: Callable[[Dependency], Awaitable[Any]], deadline_s: float = 30) -> tuple[Any, str]:
    """What `act` returned or raised, and the dependency's state afterwards."""

    async def inside() -> tuple[Any, str]:
        dependency = Dependency("hybrid", url, "HYBRID_URL", deadline_s, clock=lambda: 0.0)
        try:
            outcome = await act(dependency)
        except ServiceError as error:
            outcome = error
        finally:
            await dependency.close()
        return outcome, dependency.state

    return asyncio.run(inside())


def test_a_successful_call(fake: fake_service.FakeService) -> None:
    fake.replies["POST /learn"] = (200, {"learned": 1})
    outcome = use(fake.url, lambda hybrid: hybrid.call("POST", "/learn", {"texts": ["ä"]}))
    assert outcome == ({"learned": 1}, "ok")
    assert fake.requests == [("POST /learn", {"texts": ["ä"]})]


def test_a_body_that_is_json_already(fake: fake_service.FakeService) -> None:
    fake.replies["POST /learn"] = (200, {"learned": 1})
    use(fake.url, lambda hybrid: hybrid.call("POST", "/learn", b'{"texts": []}'))
    assert fake.requests == [("POST /learn", {"texts": []})]


def test_a_fake_reply_can_depend_on_the_request(fake: fake_service.FakeService) -> None:
    fake.replies["POST /learn"] = lambda body: (200, {"learned": len(body["texts"])})
    outcome = use(fake.url, lambda hybrid: hybrid.call("POST", "/learn", {"texts": ["a", "b"]}))
    assert outcome == ({"learned": 2}, "ok")


@pytest.mark.parametrize(
    ("status", "content", "expected", "code", "words"),
    [
        (200, b"<html>", 502, "hybrid_failed", "not JSON"),
        (500, {"error": {"code": "internal_error", "message": "m"}}, 502, "hybrid_failed", "500 internal_error"),
        (503, {"error": {"code": "starting", "message": "loading"}}, 503, "hybrid_not_ready", "loading"),
        (503, b"<html>", 503, "hybrid_not_ready", "no reason given"),
        (504, {"error": {"code": "nlg_timeout", "message": "nlg hangs"}}, 504, "hybrid_timeout", "nlg hangs"),
        (504, b"<html>", 504, "hybrid_timeout", "no reason given"),
        (404, {"detail": "no"}, 502, "hybrid_failed", "404: no reason given"),
        (401, {"error": {"code": "unauthorized", "message": "m"}}, 502, "hybrid_failed", "401 unauthorized: m"),
        (400, {"error": {"code": "invalid_json", "message": "m"}}, 502, "hybrid_failed", "400 invalid_json: m"),
        (404, {"error": {"code": "not_found", "message": "m"}}, 502, "hybrid_failed", "HYBRID_URL"),
        (413, {"error": {"code": "body_too_large", "message": "m"}}, 502, "hybrid_failed", "413 body_too_large: m"),
        (422, {"error": {"code": "invalid_request", "message": "m"}}, 502, "hybrid_failed", "422 invalid_request: m"),
        (200, b"[" * 50_000, 502, "hybrid_failed", "not JSON"),
        (500, b"[" * 50_000, 502, "hybrid_failed", "500: no reason given"),
    ],
)
def test_an_error_names_the_service_and_the_reason(
    fake: fake_service.FakeService, status: int, content: Any, expected: int, code: str, words: str
) -> None:
    fake.replies["GET /x"] = (status, content)
    error, _ = use(fake.url, lambda hybrid: hybrid.call("GET", "/x"))
    assert (error.status_code, error.code, error.upstream_status) == (expected, code, status)
    assert words in error.detail


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_client_errors_are_forwarded_on_request(fake: fake_service.FakeService, status: int) -> None:
    fake.replies["GET /x"] = (status, {"error": {"code": "its_code", "message": "in its words"}})
    error, state = use(fake.url, lambda hybrid: hybrid.call("GET", "/x", forward_client_errors=True))
    assert (error.status_code, error.code, error.detail) == (status, "its_code", "in its words")
    assert (error.upstream_status, state) == (status, "ok")


def test_further_errors_are_forwarded_if_they_are_named(fake: fake_service.FakeService) -> None:
    fake.replies["GET /x"] = (403, {"error": {"code": "not_in_edition", "message": "m"}})
    error, _ = use(fake.url, lambda hybrid: hybrid.call("GET", "/x", also_forward=(403,)))
    assert (error.status_code, error.code) == (403, "not_in_edition")
    error, _ = use(fake.url, lambda hybrid: hybrid.call("GET", "/x", forward_client_errors=True))
    assert (error.status_code, error.code) == (502, "hybrid_failed")


def test_a_call_may_have_a_deadline_of_its_own(fake: fake_service.FakeService) -> None:
    fake.gate.clear()
    error, _ = use(fake.url, lambda hybrid: hybrid.call("GET", "/x", deadline_s=0.05))
    assert error.code == "hybrid_timeout"
    assert "within 0.05 s" in error.detail


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def upload(parts: AsyncIterator[bytes], length: int = 9) -> Callable[[Dependency], Awaitable[Any]]:
    return lambda hybrid: hybrid.upload("/x?a=%20", {"Content-Length": str(length)}, parts, (429,))


def test_an_upload(fake: fake_service.FakeService) -> None:
    fake.replies["POST /x?a=%20"] = lambda body: (202, {"got": body})
    assert use(fake.url, upload(chunks(b'{"a":', b"", b"[1]}"))) == ({"got": {"a": [1]}}, "ok")


@pytest.mark.parametrize(
    ("status", "content", "expected", "code"),
    [
        (429, {"error": {"code": "queue_full", "message": "m"}}, 429, "queue_full"),
        (422, {"error": {"code": "invalid", "message": "m"}}, 502, "hybrid_failed"),
        (429, b"<html>", 502, "hybrid_failed"),
        (503, {"error": {"code": "starting", "message": "m"}}, 503, "hybrid_not_ready"),
        (200, b"<html>", 502, "hybrid_failed"),
        (200, b" " * 2_000_000, 502, "hybrid_failed"),
    ],
)
def test_errors_of_an_upload(
    fake: fake_service.FakeService, status: int, content: Any, expected: int, code: str
) -> None:
    fake.replies["POST /x?a=%20"] = (status, content)
    error, _ = use(fake.url, upload(chunks(b'{"a":[1]}')))
    assert (error.status_code, error.code) == (expected, code)


async def downloaded(dependency: Dependency) -> bytes:
    async with dependency.download("/x", (409,)) as pieces:
        return b"".join([piece async for piece in pieces])


def test_a_download(fake: fake_service.FakeService) -> None:
    fake.replies["GET /x"] = (200, b"abc" * 100_000)
    assert use(fake.url, downloaded) == (b"abc" * 100_000, "ok")


@pytest.mark.parametrize(
    ("status", "content", "expected", "code"),
    [
        (409, {"error": {"code": "conflict", "message": "m"}}, 409, "conflict"),
        (422, {"error": {"code": "invalid", "message": "m"}}, 502, "hybrid_failed"),
        (503, {"error": {"code": "starting", "message": "m"}}, 503, "hybrid_not_ready"),
        (302, b"", 502, "hybrid_failed"),
    ],
)
def test_errors_of_a_download(
    fake: fake_service.FakeService, status: int, content: Any, expected: int, code: str
) -> None:
    fake.replies["GET /x"] = (status, content)
    error, _ = use(fake.url, downloaded)
    assert (error.status_code, error.code) == (expected, code)


def test_a_download_that_breaks_off() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        writer.close()

    async def inside() -> tuple[bytes, str]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            dependency = Dependency("hybrid", f"http://127.0.0.1:{port}", "HYBRID_URL", 30)
            async with dependency.download("/x", ()) as pieces:
                first = await anext(pieces)
                with pytest.raises(ServiceError, match="incomplete") as raised:
                    await anext(pieces)
            await dependency.close()
            return first, raised.value.code

    assert asyncio.run(inside()) == (b"abc", "hybrid_failed")


def test_a_download_in_vain(fake: fake_service.FakeService) -> None:
    fake.gate.clear()
    error, state = use(fake.url, downloaded, deadline_s=0.05)
    assert (error.code, state) == ("hybrid_timeout", "timeout")
    error, state = use(fake_service.closed_url(), downloaded)
    assert (error.code, state) == ("hybrid_unreachable", "unreachable")


def test_an_upload_that_fails() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1"
        raise KeyError

    with fake_service.running() as fake:
        with pytest.raises(KeyError):
            use(fake.url, upload(broken()))
        fake.gate.clear()
        error, state = use(fake.url, upload(chunks(b'{"a":[1]}')), deadline_s=0.05)
        assert (error.code, state) == ("hybrid_timeout", "timeout")
    error, state = use(fake_service.closed_url(), upload(chunks(b"1"), 1))
    assert (error.code, state) == ("hybrid_unreachable", "unreachable")


@pytest.mark.parametrize(
    ("status", "content"),
    [(401, {"error": {"code": "unauthorized", "message": "m"}}), (404, {"detail": "no"}), (422, b"<html>")],
)
def test_other_errors_are_never_forwarded(fake: fake_service.FakeService, status: int, content: Any) -> None:
    fake.replies["GET /x"] = (status, content)
    error, state = use(fake.url, lambda hybrid: hybrid.call("GET", "/x", forward_client_errors=True))
    assert (error.status_code, error.code, state) == (502, "hybrid_failed", "failed")


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "ok"), (404, "ok"), (500, "failed"), (502, "failed"), (503, "not_ready"), (504, "timeout")],
)
def test_the_status_sets_the_state(fake: fake_service.FakeService, status: int, state: str) -> None:
    fake.replies["GET /x"] = (status, {})
    assert use(fake.url, lambda hybrid: hybrid.exchange("GET", "/x")) == ((status, b"{}"), state)


def test_a_closed_port() -> None:
    error, state = use(fake_service.closed_url(), lambda hybrid: hybrid.call("GET", "/x"))
    assert (error.status_code, error.code, state) == (503, "hybrid_unreachable", "unreachable")
    assert error.upstream_status is None
    assert "HYBRID_URL" in error.detail


def test_a_host_name_that_does_not_resolve() -> None:
    error, _ = use("http://nowhere.invalid:1", lambda hybrid: hybrid.call("GET", "/x"))
    assert (error.status_code, error.code) == (503, "hybrid_unreachable")


def test_a_timeout(fake: fake_service.FakeService) -> None:
    fake.gate.clear()
    error, state = use(fake.url, lambda hybrid: hybrid.call("GET", "/x"), deadline_s=0.05)
    assert (error.status_code, error.code, state) == (504, "hybrid_timeout", "timeout")


def test_a_probe_runs_in_the_background_and_not_too_often(fake: fake_service.FakeService) -> None:
    async def look(hybrid: Dependency) -> list[str]:
        first = hybrid.refresh()
        assert hybrid._probe is not None
        await hybrid._probe
        return [first, hybrid.refresh(), hybrid.refresh()]

    assert use(fake.url, look) == (["unknown", "ok", "ok"], "ok")
    assert fake.requests == [("GET /health", None)]


def test_a_probe_of_a_service_that_is_not_ready(fake: fake_service.FakeService) -> None:
    fake.replies["GET /health"] = (503, {"status": "starting"})

    async def look(hybrid: Dependency) -> None:
        hybrid.refresh()
        assert hybrid._probe is not None
        await hybrid._probe

    assert use(fake.url, look) == (None, "not_ready")


@pytest.mark.parametrize("status", [200, 418, 503])
def test_exchange_returns_any_answer_unchanged(fake: fake_service.FakeService, status: int) -> None:
    fake.replies["GET /health"] = (status, b"not JSON")
    outcome, _ = use(fake.url, lambda hybrid: hybrid.exchange("GET", "/health"))
    assert outcome == (status, b"not JSON")


def test_exchange_limits_the_size_of_the_answer(fake: fake_service.FakeService) -> None:
    fake.replies["GET /health"] = (200, b"x" * 1001)
    error, state = use(fake.url, lambda hybrid: hybrid.exchange("GET", "/health", max_bytes=1000))
    assert (error.code, state) == ("hybrid_failed", "failed")
    assert "more than 1000 bytes" in error.detail


def test_an_invalid_request_of_our_own_is_not_blamed_on_the_service(fake: fake_service.FakeService) -> None:
    with pytest.raises(h11.LocalProtocolError):
        use(fake.url, lambda hybrid: hybrid.call("GET", "/a b"))
    assert not fake.requests
