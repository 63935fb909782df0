import subprocess
import sys
from collections.abc import Iterator

import fake_service
import pytest

from sutra_service import healthcheck

HEAVY = {"asyncio", "fastapi", "http.client", "json", "ssl", "uvicorn"}


@pytest.fixture
def fake() -> Iterator[fake_service.FakeService]:
    with fake_service.running() as fake:
        yield fake


def port(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_healthy(fake: fake_service.FakeService) -> None:
    assert healthcheck.check(port(fake.url)) == ""


def test_not_ready(fake: fake_service.FakeService) -> None:
    fake.replies["GET /health"] = (503, {"status": "starting"})
    assert "503" in healthcheck.check(port(fake.url))


def test_a_closed_port() -> None:
    assert "no answer" in healthcheck.check(port(fake_service.closed_url()))


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1", "localhost"])
def test_it_asks_the_address_that_the_service_listens_on(fake: fake_service.FakeService, host: str) -> None:
    assert healthcheck.check(port(fake.url), host) == ""


def test_another_address_is_not_the_service(fake: fake_service.FakeService) -> None:
    # All of 127.0.0.0/8 is this host, but the fake listens on 127.0.0.1 only.
    assert "127.0.0.2 port" in healthcheck.check(port(fake.url), "127.0.0.2")


def test_run_as_in_the_container(fake: fake_service.FakeService) -> None:
    def run(given: str, **variables: str) -> tuple[int, bytes]:
        command = [sys.executable, "-m", "sutra_service.healthcheck", given]
        done = subprocess.run(
            command, env={"PYTHONPATH": ":".join(sys.path), **variables}, capture_output=True, check=False
        )
        return done.returncode, done.stderr

    used = str(port(fake.url))
    assert run(used) == (0, b"")
    # The variables take precedence, and are read as the service reads them.
    assert run("1", PORT=f" {used} ", HOST=" 127.0.0.1 ") == (0, b"")
    assert run(used, HOST="127.0.0.2")[0] == 1
    assert run(used, PORT="1")[0] == 1


def test_no_heavy_module_is_imported() -> None:
    command = [sys.executable, "-c", "import sutra_service.healthcheck, sys; print(*sys.modules)"]
    done = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
