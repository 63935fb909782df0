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


def test_run_as_in_the_container(fake: fake_service.FakeService) -> None:
    command = [sys.executable, "-m", "sutra_service.healthcheck", str(port(fake.url))]
    done = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_heavy_module_is_imported() -> None:
    command = [sys.executable, "-c", "import sutra_service.healthcheck, sys; print(*sys.modules)"]
    done = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
