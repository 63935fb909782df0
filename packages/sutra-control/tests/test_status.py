import csv
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fake_service
import pytest
from conftest import Stack, health, sign_in
from starlette.testclient import TestClient

from sutra_control.headers import HEADERS
from sutra_control.limits import CAPABILITIES, LIMITS
from sutra_control.services import DEFAULTS
from sutra_control.status import Status

NAMES = ["client", "api", "hybrid", "embedding", "storage", "nlg", "bulk-ingester", "control"]
JOB = {"id": "7", "state": "running", "bytes_total": 900, "taught": 10, "created_at": "2026-01-01T00:00:00.000Z"}


def status(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/status")
    assert answer.status_code == 200
    return dict(answer.json())


def service(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in found["services"] if each["name"] == name)


def test_all_services_up(stack: Stack) -> None:
    stack.fakes["hybrid"].replies["GET /health"] = (
        200,
        health("hybrid", dependencies={"nlg": "ok"}, limits={"max_texts": 32}),
    )
    stack.fakes["bulk-ingester"].jobs = [{**JOB, "reason": None}]
    with stack.client() as client:
        sign_in(client)
        found = status(client)
    assert [each["name"] for each in found["services"]] == NAMES
    assert {each["state"] for each in found["services"]} == {"ok"}
    assert found["down"] == []
    hybrid = service(found, "hybrid")
    assert (hybrid["version"], hybrid["edition"]) == ("1.2.3", "simple")
    assert (hybrid["dependencies"], hybrid["limits"]) == ({"nlg": "ok"}, {"max_texts": 32})
    assert (hybrid["url"], hybrid["reason"]) == (stack.fakes["hybrid"].url, "")
    assert hybrid["ms"] > 0
    assert hybrid["availability"] == {"up": 1, "of": 1}
    assert found["concepts"] == {"reason": "", "numbers": {"concepts": 3, "bytes_on_disk": 4096}}
    assert found["jobs"] == {"reason": "", "jobs": [JOB], "more": False}
    assert found["images"]["state"] == "absent"


@pytest.mark.parametrize("name", NAMES)
def test_one_service_down(stack: Stack, name: str) -> None:
    variable = (
        "CONTROL_URL"
        if name == "control"
        else next(v for v, url in stack.variables.items() if url == stack.fakes[name].url)
    )
    with stack.client(**{variable: fake_service.closed_url()}) as client:
        sign_in(client)
        found = status(client)
    assert found["down"] == [name]
    down = service(found, name)
    assert (down["state"], down["ms"], down["availability"]) == ("unreachable", None, {"up": 0, "of": 1})
    assert variable in down["reason"]
    assert bool(found["concepts"]["reason"]) is (name == "storage")
    assert bool(found["jobs"]["reason"]) is (name == "bulk-ingester")


def test_services_are_checked_in_parallel(stack: Stack) -> None:
    expected = dict.fromkeys(NAMES, 1) | {"storage": 2, "bulk-ingester": 2}
    for fake in stack.fakes.values():
        fake.gate.clear()

    def open_gates_after_all_requests() -> None:
        while any(len(stack.fakes[name].requests) < number for name, number in expected.items()):
            time.sleep(0.01)
        for fake in stack.fakes.values():
            fake.gate.set()

    opening = threading.Thread(target=open_gates_after_all_requests, daemon=True)
    opening.start()
    with stack.client(SUTRA_CONTROL_DEADLINE_SECONDS="30") as client:
        sign_in(client)
        found = status(client)
    opening.join()
    # Sequential checks would time out, because no service answers before all have been called.
    assert found["down"] == []
    assert found["concepts"]["reason"] == found["jobs"]["reason"] == ""


def with_a_deadline(check: Callable[[str], None]) -> None:
    """Pass if `check` does with some deadline, in seconds: on a busy machine, an answer may take longer than usual."""
    for seconds in ("2", "8"):
        with suppress(AssertionError):
            check(seconds)
            return
    check("30")


def test_hanging_services_do_not_delay_the_others(stack: Stack) -> None:
    stack.fakes["nlg"].gate.clear()
    stack.fakes["storage"].gate.clear()

    def check(seconds: str) -> None:
        with stack.client(SUTRA_CONTROL_DEADLINE_SECONDS=seconds) as client:
            sign_in(client)
            found = status(client)
        assert sorted(found["down"]) == ["nlg", "storage"]
        assert service(found, "nlg")["state"] == "timeout"
        assert f"did not answer within {seconds} s" in found["concepts"]["reason"]

    with_a_deadline(check)


def test_slow_host_name_lookups_do_not_delay_others(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    released, find = threading.Event(), socket.getaddrinfo

    def slow(host: str | bytes, *rest: Any, **more: Any) -> Any:
        if host in ("gone.invalid", b"gone.invalid"):
            released.wait()
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return find(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    variables = dict.fromkeys((service.variable for service in DEFAULTS), "http://gone.invalid:1")
    own = stack.variables["CONTROL_URL"].replace("127.0.0.1", "localhost")

    def check(seconds: str) -> None:
        released.clear()
        try:
            with stack.client(**variables, CONTROL_URL=own, SUTRA_CONTROL_DEADLINE_SECONDS=seconds) as client:
                sign_in(client)
                found = status(client)
                released.set()
        finally:
            released.set()
        assert service(found, "control")["state"] == "ok"
        assert {each["state"] for each in found["services"]} == {"ok", "timeout"}
        assert len(found["down"]) == 7

    with_a_deadline(check)


def test_changes_of_a_service_are_noticed(stack: Stack) -> None:
    with stack.client() as client:
        sign_in(client)
        assert status(client)["down"] == []
        stack.fakes["nlg"].replies["GET /health"] = (503, {"status": "failed", "service": "nlg", "reason": "no model"})
        assert status(client)["down"] == [], "a sweep is reused for two seconds"
        stack.now += 2
        found = status(client)
        assert (found["down"], service(found, "nlg")["reason"]) == (["nlg"], "no model")
        assert client.get("/health").json()["dependencies"]["nlg"] == "failed"
        stack.fakes["nlg"].replies["GET /health"] = (200, health("nlg"))
        stack.now += 2
        assert status(client)["down"] == []


def test_health_lists_the_other_services_but_does_not_depend_on_them(stack: Stack) -> None:
    with stack.client(NLG_URL=fake_service.closed_url()) as client:
        sign_in(client)
        status(client)
        answer = client.get("/health")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["status"], found["service"], found["edition"]) == ("ok", "control", "simple")
    assert found["dependencies"] == {
        name: "unreachable" if name == "nlg" else "ok" for name in NAMES if name != "control"
    }


@pytest.mark.parametrize("edition", list(LIMITS))
def test_editions(stack: Stack, edition: str) -> None:
    stack.fakes["bulk-ingester"].jobs = [{"id": str(number)} for number in range(200)]
    with stack.client(SUTRA_EDITION=edition) as client:
        shown = client.get("/capabilities").json()
        limits = client.get("/health").json()["limits"]
        sign_in(client)
        found = status(client)
        timeline = client.get("/api/history")
        export = client.get("/api/export?format=csv")
    assert shown == {"edition": edition, "capabilities": list(CAPABILITIES[edition])}
    assert limits == found["limits"] == LIMITS[edition].fields()
    assert (len(found["jobs"]["jobs"]), found["jobs"]["more"]) == (limits["max_jobs"], True)
    assert timeline.status_code == (403 if edition == "simple" else 200)
    assert export.status_code == (200 if edition == "enterprise" else 403)
    if edition == "simple":
        assert timeline.json()["error"] == {
            "code": "not_in_edition",
            "message": "not available in edition simple: timeline; use edition community or enterprise",
        }


def test_history(stack: Stack) -> None:
    with stack.client(SUTRA_EDITION="community") as client:
        sign_in(client)
        status(client)
        found = client.get("/api/history?samples=60").json()
        wrong = [client.get(f"/api/history?samples={samples}") for samples in (0, 361, "x", "")]
    assert (found["samples"], found["sample_every_s"], sorted(found["services"])) == (60, 3600, sorted(NAMES))
    [[ms, share]] = found["services"]["nlg"]
    assert (ms > 0, share) == (True, 1.0)
    assert {answer.status_code for answer in wrong} == {422}
    assert "query.samples" in wrong[0].json()["error"]["message"]


def test_export(stack: Stack, tmp_path: Path) -> None:
    image = {"service": "nlg", "image": "sutra-nlg", "bytes": 9, "edition": "enterprise", "variant": "optimized"}
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"schema": 1, "images": [image]}))
    stack.fakes["nlg"].replies["GET /health"] = (200, health("nlg", version='=cmd|"calc"'))
    with stack.client(SUTRA_EDITION="enterprise", SUTRA_IMAGES_RECORD=str(record)) as client:
        sign_in(client)
        status(client)
        table = client.get("/api/export?format=csv")
        whole = client.get("/api/export?format=json")
        wrong = client.get("/api/export?format=pdf")
    assert table.headers["Content-Disposition"] == 'attachment; filename="sutra-status.csv"'
    rows = list(csv.DictReader(table.text.splitlines()))
    assert [row["service"] for row in rows] == NAMES
    nlg = rows[NAMES.index("nlg")]
    assert (nlg["state"], nlg["image_bytes"], nlg["samples_up"]) == ("ok", "9", "1")
    assert nlg["version"] == '\'=cmd|"calc"'
    assert (rows[0]["image"], rows[0]["image_bytes"]) == ("", "")
    assert len(whole.json()["samples"]["nlg"]) == 1
    assert whole.json()["images"]["images"] == [image]
    assert wrong.status_code == 422


@pytest.mark.parametrize(
    "answer",
    [(200, []), (200, {"jobs": {}}), (200, {"jobs": [1]}), (200, {"jobs": [{"state": "no id"}]}), (500, {}), (404, {})],
)
def test_unexpected_answers_of_storage_and_ingester(stack: Stack, answer: tuple[int, Any]) -> None:
    stack.fakes["bulk-ingester"].replies["GET /v1/jobs"] = answer
    stack.fakes["storage"].replies["GET /v1/stats"] = (200, {"concepts": "many"})
    with stack.client() as client:
        sign_in(client)
        found = status(client)
    assert found["jobs"]["jobs"] == []
    assert "bulk-ingester" in found["jobs"]["reason"]
    assert "storage" in found["concepts"]["reason"]
    assert found["down"] == [], "an unexpected answer does not affect the health"


def test_an_internal_error_has_the_security_headers(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_status: Status) -> dict[str, Any]:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(Status, "now", fail)
    answer = stack.signed_in_client().get("/api/status")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_the_fields_of_a_job_are_limited(stack: Stack) -> None:
    job = {"id": "7", "note": "x" * 1000, "errors": [{"line": 1}], "done": True, **{f"f{n}": n for n in range(40)}}
    stack.fakes["bulk-ingester"].replies["GET /v1/jobs"] = (200, {"jobs": [job]})
    with stack.client() as client:
        sign_in(client)
        [shown] = status(client)["jobs"]["jobs"]
    assert (shown["id"], len(shown["note"]), len(shown)) == ("7", 300, 24)
    assert "errors" not in shown
