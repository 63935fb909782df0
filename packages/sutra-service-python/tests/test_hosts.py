import pytest
from starlette.testclient import TestClient

from sutra_service.application import create_app
from sutra_service.settings import Environment, Settings


def status(host: str, allowed: str = "") -> int:
    settings = Settings.read(Environment({"ALLOWED_HOSTS": allowed}), "sutra-x", 1)
    with TestClient(create_app(settings, title="X", max_body_bytes=1)) as client:
        answer = client.get("/health", headers={"Host": host})
    if answer.status_code == 421:
        assert answer.json()["error"]["code"] == "foreign_host"
        assert "ALLOWED_HOSTS" in answer.json()["error"]["message"]
    return answer.status_code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3:80",
        "[::1]",
        "[fe80::1]:80",
        "localhost",
        "LOCALHOST:1",
        "a.localhost",
        "sutra-api:8000",
        "api.",
    ],
)
def test_addresses_and_names_of_services_are_allowed(host: str) -> None:
    assert status(host) == 200


@pytest.mark.parametrize(
    ("allowed", "host", "expected"),
    [
        ("", "rebind.example", 421),
        ("", "rebind.example:8005", 421),
        ("", "127.0.0.1.rebind.example", 421),
        ("", "localhost.rebind.example", 421),
        ("", "xn--bcher-kva.example", 421),
        ("Xn--Bcher-kva.example", "xn--bcher-kva.EXAMPLE:80", 200),
        ("a.example, b.example", "b.example.", 200),
        ("a.example", "b.a.example", 421),
        (".a.example", "b.a.example", 200),
        (".a.example", "a.example", 421),
        (".a.example", "ba.example", 421),
        ("*", "rebind.example", 200),
    ],
)
def test_other_names_are_foreign_unless_they_are_listed(allowed: str, host: str, expected: int) -> None:
    assert status(host, allowed) == expected


@pytest.mark.parametrize("host", ["", "a b", "user@localhost", "[::1", "localhost:x", "a/b", "a,b"])
def test_an_invalid_host_is_refused(host: str) -> None:
    assert status(host) == 400
