from typing import Any

import fake_service
import pytest
from conftest import Stack
from starlette.testclient import TestClient

from sutra_control import jobs

ACTIVE = ("queued", "running", "waiting")


def job(number: int, state: str = "done", **more: Any) -> dict[str, Any]:
    return {"id": f"{number:010}-abc", "state": state, "bytes_total": 9, "taught": number, "bad": 0, **more}


def newest_first(count: int) -> list[dict[str, Any]]:
    return [job(number) for number in range(count, 0, -1)]


def test_the_dashboard_shows_the_latest_jobs_and_the_list_all_of_them(stack: Stack) -> None:
    stack.fakes["bulk-ingester"].jobs = everything = newest_first(30)
    with stack.operator() as client:
        latest = client.get("/api/status").json()["jobs"]
        listed = client.get("/api/jobs").json()
    assert (latest["jobs"], latest["more"]) == (everything[:20], True)
    assert listed == {"jobs": everything, "next": None, "more": False}


@pytest.mark.parametrize(("edition", "shown"), [("simple", 20), ("community", 30), ("enterprise", 30)])
def test_every_edition_asks_for_as_many_jobs_as_it_shows(stack: Stack, edition: str, shown: int) -> None:
    stack.fakes["bulk-ingester"].jobs = newest_first(30)
    with stack.operator(SUTRA_EDITION=edition) as client:
        found = client.get("/api/status").json()["jobs"]
    assert (found["reason"], len(found["jobs"]), found["more"]) == ("", shown, shown < 30)


def test_pages_follow_the_cursor_to_the_oldest_job(stack: Stack, operator: TestClient) -> None:
    stack.fakes["bulk-ingester"].jobs = everything = newest_first(250)
    found, cursor, sizes = [], "", []
    while cursor is not None:
        listed = operator.get("/api/jobs", params={"cursor": cursor} if cursor else {}).json()
        found += listed["jobs"]
        sizes.append((len(listed["jobs"]), listed["more"]))
        cursor = listed["next"]
    assert found == everything
    assert sizes == [(100, True), (100, True), (50, False)]


def test_an_ingester_without_cursors_may_have_more_than_it_lists(stack: Stack, operator: TestClient) -> None:
    ingester = stack.fakes["bulk-ingester"]
    ingester.has_cursors = False
    ingester.jobs = newest_first(150)
    listed = operator.get("/api/jobs").json()
    assert (len(listed["jobs"]), listed["next"], listed["more"]) == (100, None, True)
    ingester.jobs = newest_first(99)
    assert operator.get("/api/jobs").json()["more"] is False


def test_a_page_may_be_smaller(stack: Stack, operator: TestClient) -> None:
    stack.fakes["bulk-ingester"].jobs = newest_first(5)
    listed = operator.get("/api/jobs?limit=2").json()
    assert (len(listed["jobs"]), listed["more"]) == (2, True)


@pytest.mark.parametrize("limit", ["0", "101", "x", ""])
def test_an_invalid_limit(stack: Stack, operator: TestClient, limit: str) -> None:
    answer = operator.get(f"/api/jobs?limit={limit}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert "query.limit" in answer.json()["error"]["message"]


def test_an_invalid_cursor_is_the_ingesters_error(stack: Stack, operator: TestClient) -> None:
    answer = operator.get("/api/jobs?cursor=nonsense")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_cursor")


def test_a_job_with_its_bad_lines(stack: Stack, operator: TestClient) -> None:
    lines = [{"line": 3, "reason": "not JSON"}, {"line": 7, "reason": "x" * 1000}]
    stack.fakes["bulk-ingester"].jobs = [job(1, bad=2, bad_lines=lines, reason=None)]
    found = operator.get("/api/jobs/0000000001-abc").json()
    assert found == {**job(1, bad=2), "bad_lines": [lines[0], {"line": 7, "reason": "x" * 300}]}
    assert "bad_lines" not in operator.get("/api/jobs").json()["jobs"][0]


def test_unexpected_bad_lines_are_left_out_and_bounded(stack: Stack, operator: TestClient) -> None:
    lines = [{"line": "3", "reason": "x"}, {"line": 4}, "5", None, *({"line": n, "reason": "x"} for n in range(2000))]
    stack.fakes["bulk-ingester"].jobs = [job(1, bad_lines=lines)]
    found = operator.get("/api/jobs/0000000001-abc").json()
    assert len(found["bad_lines"]) == jobs.MAX_BAD_LINES - 4


@pytest.mark.parametrize("state", ACTIVE)
def test_an_active_job_can_be_cancelled(stack: Stack, operator: TestClient, state: str) -> None:
    stack.fakes["bulk-ingester"].jobs = [job(2, state), job(1, state)]
    answer = operator.delete("/api/jobs/0000000001-abc")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert [each["state"] for each in operator.get("/api/jobs").json()["jobs"]] == [state, "cancelled"]
    assert operator.delete("/api/jobs/0000000001-abc").status_code == 200, "cancelling twice changes nothing"


@pytest.mark.parametrize("state", ["done", "failed"])
def test_an_ended_job_cannot_be_cancelled(stack: Stack, operator: TestClient, state: str) -> None:
    stack.fakes["bulk-ingester"].jobs = [job(1, state)]
    answer = operator.delete("/api/jobs/0000000001-abc")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_ended")
    assert "already ended" in answer.json()["error"]["message"]
    assert operator.get("/api/jobs/0000000001-abc").json()["state"] == state


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_job(stack: Stack, operator: TestClient, method: str) -> None:
    answer = operator.request(method, "/api/jobs/a%3Fb%20c")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    requests = [request for request, _ in stack.fakes["bulk-ingester"].requests]
    assert f"{method} /v1/jobs/a%3Fb%20c" in requests, "the id stays one segment"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_ingester_that_is_down(stack: Stack, method: str) -> None:
    with stack.operator(INGESTER_URL=fake_service.closed_url()) as client:
        for path in ("/api/jobs/7",) if method == "DELETE" else ("/api/jobs", "/api/jobs/7"):
            answer = client.request(method, path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "bulk-ingester_unreachable")
            assert "INGESTER_URL" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("GET /v1/jobs", {"jobs": {}}),
        ("GET /v1/jobs", {"jobs": [{"state": "no id"}]}),
        ("GET /v1/jobs", {"jobs": [], "next": 7}),
        ("GET /v1/jobs", []),
        ("GET /v1/jobs/7", {"id": 7}),
        ("GET /v1/jobs/7", {"id": "7", "bad_lines": {}}),
        ("DELETE /v1/jobs/7", "cancelled"),
    ],
)
def test_an_unexpected_answer(stack: Stack, operator: TestClient, request_: str, reply: Any) -> None:
    stack.fakes["bulk-ingester"].replies[request_] = (200, reply)
    method, path = request_.split()
    answer = operator.request(method, path.replace("/v1/", "/api/"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "bulk-ingester_failed")
    assert "unexpected answer" in answer.json()["error"]["message"]
