import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PASSWORD, Stack, sign_in
from starlette.testclient import TestClient
from sutra_service import rate
from sutra_service.settings import SettingError

from sutra_control import signin
from sutra_control.gate import COOKIE
from sutra_control.users import Users

PROTECTED = [
    ("DELETE", "/api/session"),
    ("GET", "/api/status"),
    ("GET", "/api/history"),
    ("GET", "/api/export?format=csv"),
    ("GET", "/api/export/concepts"),
    ("POST", "/api/import/concepts"),
    ("GET", "/api"),
    ("GET", "/api/"),
    ("GET", "/api/nowhere"),
    ("POST", "/api/status"),
    ("GET", "/openapi.json"),
    ("GET", "/api/jobs"),
    ("GET", "/api/jobs/7"),
    ("DELETE", "/api/jobs/7"),
    ("GET", "/api/concepts"),
    ("DELETE", "/api/concepts?source=guide.md"),
    ("GET", "/api/concepts/7"),
    ("DELETE", "/api/concepts/7"),
    ("GET", "/api/sources"),
    ("GET", "/api/password"),
    ("POST", "/api/password"),
]


def who(client: TestClient) -> str | None:
    answer = client.get("/api/session")
    assert answer.status_code == 200
    return answer.json()["operator"]


def code(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("cookie", ["", "x" * 43])
def test_protected_routes_need_a_session(stack: Stack, method: str, path: str, cookie: str) -> None:
    client = stack.client()
    client.cookies.set(COOKIE, cookie)
    answer = client.request(method, path)
    assert code(answer) == (401, "unauthorized")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("cookie", ["", "x" * 43])
def test_the_session_route_answers_without_a_session(stack: Stack, cookie: str) -> None:
    client = stack.client()
    client.cookies.set(COOKIE, cookie)
    answer = client.get("/api/session")
    assert (answer.status_code, answer.json()) == (200, {"operator": None, "reason": ""})
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/health", "/capabilities", "/", "/favicon.svg"])
def test_public_routes(stack: Stack, path: str) -> None:
    with stack.client() as client:
        assert client.get(path).status_code == 200


def test_signing_in_and_out(stack: Stack) -> None:
    client = stack.client()
    answer = client.post("/api/session", json={"name": " anna ", "password": PASSWORD})
    assert (answer.status_code, answer.json()) == (200, {"operator": "anna"})
    assert client.get("/api/session").json() == {"operator": "anna", "reason": ""}
    assert "/api/status" in client.get("/openapi.json").json()["paths"]
    token = client.cookies[COOKIE]
    assert client.delete("/api/session").status_code == 204
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, token)
    assert who(client) is None
    assert code(client.delete("/api/session")) == (401, "unauthorized")


def test_the_attributes_of_the_cookie(stack: Stack) -> None:
    answer = stack.client().post("/api/session", json={"name": "anna", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "samesite=strict", "path=/", "max-age=43200"}


@pytest.mark.parametrize(
    ("base_url", "setting"), [("https://control.example.org", "auto"), ("http://control:9000", "always")]
)
def test_a_secure_cookie(stack: Stack, base_url: str, setting: str) -> None:
    client = stack.client(SUTRA_CONTROL_SECURE_COOKIE=setting, ALLOWED_HOSTS="control.example.org")
    client.base_url = base_url
    answer = client.post("/api/session", json={"name": "anna", "password": PASSWORD})
    assert "; Secure" in answer.headers["Set-Cookie"]


def test_signing_in_again_ends_the_previous_session(stack: Stack) -> None:
    client = stack.signed_in_client()
    before = client.cookies[COOKIE]
    assert sign_in(client) == 200
    assert who(client) == "anna"
    other = TestClient(client.app, base_url="http://control:9000", cookies={COOKIE: before})
    assert who(other) is None


@pytest.mark.parametrize(("variable", "seconds"), [("IDLE_MINUTES", 60), ("SESSION_HOURS", 3600)])
def test_a_session_expires(stack: Stack, variable: str, seconds: int) -> None:
    client = stack.signed_in_client(**{"SUTRA_CONTROL_IDLE_MINUTES": "60", f"SUTRA_CONTROL_{variable}": "1"})
    stack.now += seconds - 1
    assert who(client) == "anna"
    stack.now += seconds
    assert who(client) is None


def test_without_operators_signing_in_is_impossible(stack: Stack) -> None:
    client = stack.client(SUTRA_CONTROL_USERS="")
    answer = client.post("/api/session", json={"name": "anna", "password": PASSWORD})
    assert code(answer) == (503, "no_operators")
    assert "sutra_control.users new" in answer.json()["error"]["message"]
    assert code(client.get("/api/status")) == (401, "no_operators")
    assert client.get("/api/session").json() == {"operator": None, "reason": answer.json()["error"]["message"]}


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong"), ("bert", PASSWORD), ("ANNA", PASSWORD)])
def test_a_wrong_password_and_a_wrong_name_give_the_same_error(stack: Stack, name: str, password: str) -> None:
    client = stack.client()
    answer = client.post("/api/session", json={"name": name, "password": password})
    assert code(answer) == (401, "wrong_password")
    assert answer.json()["error"]["message"] == "the name or the password is wrong; try again"
    assert "Set-Cookie" not in answer.headers


def test_failed_sign_ins_are_rate_limited(stack: Stack) -> None:
    client = stack.client(SUTRA_CONTROL_FAILURES_BURST="2", SUTRA_CONTROL_FAILURES_PER_MINUTE="6")
    assert [sign_in(client, password="wrong") for _ in range(2)] == [401, 401]
    refused = client.post("/api/session", json={"name": "anna", "password": PASSWORD})
    assert code(refused) == (429, "too_many_requests")
    assert refused.headers["Retry-After"] == "10"
    stack.now += 10
    assert sign_in(client) == 200


def test_failures_with_one_name_do_not_lock_other_names(stack: Stack, entry: str) -> None:
    users = f"{entry},{entry.replace('anna', 'bert')}"
    client = stack.client(SUTRA_CONTROL_USERS=users, SUTRA_CONTROL_FAILURES_BURST="2")
    assert [sign_in(client, "anna", "wrong") for _ in range(100)] == [401, 401] + [429] * 98
    assert sign_in(client, "bert") == 200


def test_failures_with_many_names_lock_the_address(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Users, "verify", lambda *_: False)
    client = stack.client(SUTRA_CONTROL_FAILURES_BURST="2", SUTRA_CONTROL_FAILURES_PER_MINUTE="1")
    most = 2 * signin.NAMES_OF_AN_ADDRESS
    assert [sign_in(client, f"name{number}") for number in range(most + 1)] == [401] * most + [429]
    assert sign_in(client, "name0") == 429
    stack.now += 3
    assert sign_in(client, "another") == 401


def test_rejected_attempts_do_not_evict_counted_failures(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Users, "verify", lambda *_: False)
    monkeypatch.setattr(rate, "REMEMBERED", 3)
    client = stack.client(SUTRA_CONTROL_FAILURES_BURST="1", SUTRA_CONTROL_FAILURES_PER_MINUTE="1")
    for number in range(signin.NAMES_OF_AN_ADDRESS - 1):
        assert sign_in(client, f"name{number}") == 401
    assert sign_in(client) == 401
    # The address is locked now, so these attempts must not evict anna's failure.
    assert [sign_in(client, f"other{number}") for number in range(9)] == [429] * 9
    stack.now += 60 / signin.NAMES_OF_AN_ADDRESS
    assert sign_in(client) == 429


def test_correct_passwords_do_not_count_as_failures(stack: Stack) -> None:
    client = stack.client(SUTRA_CONTROL_FAILURES_BURST="2")
    assert [sign_in(client) for _ in range(4)] == [200] * 4
    assert [sign_in(client, password="wrong") for _ in range(3)] == [401, 401, 429]


def test_concurrent_sign_ins_queue_up_to_a_limit(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "MAX_WAITING", 2)
    began, gate, at_once = threading.Event(), threading.Event(), []

    def slow(_users: Users, _name: str, _password: str) -> bool:
        at_once.append(threading.current_thread().name)
        began.set()
        gate.wait()
        return True

    monkeypatch.setattr(Users, "verify", slow)
    with stack.client() as client, ThreadPoolExecutor(3) as people:
        tries = [people.submit(sign_in, client) for _ in range(3)]
        busy = next(iter(done for done in _as_done(tries)))
        # The refusal may be faster than the first check.
        began.wait()
        assert (busy, len(at_once)) == (503, 1)
        gate.set()
        assert sorted(each.result() for each in tries) == [200, 200, 503]
    assert set(at_once) == {"password_0"}


def _as_done(tries: list) -> list[int]:
    from concurrent.futures import FIRST_COMPLETED, wait  # noqa: PLC0415

    return [each.result() for each in wait(tries, return_when=FIRST_COMPLETED).done]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://control:9000"}, 200),
        ({"Origin": "https://control:9000"}, 200),
        ({"Origin": "https://ops.example.org"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://control:8080"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://control:9000.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_cross_origin_requests_are_rejected(stack: Stack, headers: dict[str, str], status: int) -> None:
    client = stack.client(SUTRA_CONTROL_ORIGINS="https://ops.example.org")
    answer = client.post("/api/session", json={"name": "anna", "password": PASSWORD}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert code(answer) == (403, "foreign_origin")
        signed_in = stack.signed_in_client()
        assert code(signed_in.delete("/api/session", headers=headers)) == (403, "foreign_origin")
        assert who(signed_in) == "anna"


UNSAFE = [
    ("DELETE", "/api/jobs/7", "DELETE /v1/jobs/7", "bulk-ingester"),
    ("DELETE", "/api/concepts/7", "DELETE /concepts/7", "hybrid"),
    ("DELETE", "/api/concepts?source=guide.md", "DELETE /concepts?source=guide.md", "hybrid"),
    ("POST", "/api/import/concepts", "POST /v1/import?skip=0", "storage"),
    ("POST", "/api/password", "", ""),
]


def test_every_unsafe_route_is_tested(stack: Stack) -> None:
    paths = stack.signed_in_client().get("/openapi.json").json()["paths"]
    unsafe = {
        (method.upper(), path) for path, methods in paths.items() for method in methods if method not in ("get", "head")
    }
    tested = {(method, path.partition("?")[0].replace("/7", "/{id}")) for method, path, _, _ in UNSAFE}
    tested |= {("POST", "/api/session"), ("DELETE", "/api/session")}
    assert {(method, re.sub(r"\{\w+\}", "{id}", path)) for method, path in unsafe} == tested


@pytest.mark.parametrize(("method", "path", "forwarded", "to"), UNSAFE)
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_other_site_changes_anything(
    stack: Stack, headers: dict[str, str], method: str, path: str, forwarded: str, to: str
) -> None:
    def changes() -> list[str]:
        return [request for request, _ in stack.fakes[to].requests if not request.startswith("GET")]

    body = {"current": PASSWORD, "new": "seven green umbrellas"} if method == "POST" else None
    with stack.operator() as client:
        answer = client.request(method, path, headers=headers, json=body)
        assert code(answer) == (403, "foreign_origin")
        if to:
            assert changes() == []
            client.request(method, path, headers={"Origin": "http://control:9000"})
            assert changes() == [forwarded]
        assert sign_in(client) == 200


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_no_answer_is_cached(stack: Stack, method: str, path: str) -> None:
    with stack.operator() as client:
        assert client.request(method, path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"{", "application/json", 400, "not valid JSON"),
        (b"", "application/json", 422, "body"),
        (b"[]", "application/json", 422, "body"),
        (b'{"name": "", "password": "x"}', "application/json", 422, "body.name"),
        (b'{"name": "anna", "password": ""}', "application/json", 422, "body.password"),
        (b'{"name": "anna"}', "application/json", 422, "body.password"),
        (b'{"name": 7, "password": "x"}', "application/json", 422, "body.name"),
        (b'{"name": "anna", "password": "x", "more": 1}', "application/json", 422, "body.more"),
        (b'{"name": "anna", "password": "' + b"x" * 1025 + b'"}', "application/json", 422, "body.password"),
        (b"x" * 16_001, "application/json", 413, "16000 bytes"),
        (b"name=anna&password=x", "application/x-www-form-urlencoded", 415, "application/json"),
        (b'{"name": "anna", "password": "x"}', "text/plain", 415, "application/json"),
    ],
)
def test_an_invalid_request_is_explained(stack: Stack, content: bytes, kind: str, status: int, words: str) -> None:
    answer = stack.client().post("/api/session", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_a_rejected_password_is_not_repeated(stack: Stack) -> None:
    answer = stack.client().post("/api/session", json={"name": "anna", "password": ["secret-42"]})
    assert answer.status_code == 422
    assert "secret-42" not in answer.text


@pytest.mark.parametrize("edition", ["simple", "community"])
def test_the_maximum_number_of_sessions_depends_on_the_edition(stack: Stack, edition: str) -> None:
    first = stack.signed_in_client(SUTRA_EDITION=edition)
    most = first.get("/health").json()["limits"]["max_sessions"]
    for _ in range(most):
        assert sign_in(TestClient(first.app, base_url="http://control:9000")) == 200
    assert who(first) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUTRA_CONTROL_USERS", "nonsense"),
        ("SUTRA_CONTROL_IDLE_MINUTES", "0"),
        ("SUTRA_CONTROL_SECURE_COOKIE", "perhaps"),
        ("SUTRA_CONTROL_ORIGINS", "control.example.org"),
        ("SUTRA_CONTROL_ORIGINS", "https://control.example.org/"),
        ("SUTRA_CONTROL_ORIGINS", "https://[::1"),
        ("SUTRA_CONTROL_PAGE", "/nowhere"),
        ("NLG_URL", "nonsense"),
        ("NLG_URL", "http://host:abc"),
        ("SUTRA_CONTROL_EVERY_SECONDS", "1"),
    ],
)
def test_an_invalid_setting_is_reported(stack: Stack, name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        stack.client(**{name: value})
