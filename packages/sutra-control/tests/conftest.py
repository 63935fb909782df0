"""The dashboard with eight fake services and a page."""

import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_service
import neighbours
import pytest
from starlette.testclient import TestClient
from sutra_service.settings import Environment

from sutra_control import application
from sutra_control.services import DEFAULTS
from sutra_control.users import PasswordHash

PASSWORD = "a password of anna"
# Those whose parameters matter here.
OWN_FAKES = {"hybrid": neighbours.FakeHybrid, "bulk-ingester": neighbours.FakeIngester}


@pytest.fixture(scope="session")
def entry() -> str:
    """Anna's entry, shared by all tests, because hashing is slow on purpose."""
    return f"anna:{PasswordHash.of(PASSWORD).entry()}"


@dataclass
class Stack:
    """The dashboard's environment, with a clock that tests can advance."""

    # FakeService, or one of OWN_FAKES.
    fakes: dict[str, Any]
    variables: dict[str, str]
    now: float = 0.0

    def client(self, **variables: str) -> TestClient:
        environment = Environment({**self.variables, **variables})
        app = application.create(application.read_settings(environment), environment, clock=lambda: self.now)
        return TestClient(app, base_url="http://control:9000", raise_server_exceptions=False)

    def signed_in_client(self, **variables: str) -> TestClient:
        """A client that has signed in; to check services, use `client` as a context manager instead."""
        client = self.client(**variables)
        assert sign_in(client) == 200
        return client

    @contextmanager
    def operator(self, **variables: str) -> Iterator[TestClient]:
        """A client that has signed in, to a service that runs: it watches and can call others."""
        with self.client(**variables) as client:
            assert sign_in(client) == 200
            yield client


def sign_in(client: TestClient, name: str = "anna", password: str = PASSWORD) -> int:
    return client.post("/api/session", json={"name": name, "password": password}).status_code


def health(name: str, **more: object) -> dict[str, object]:
    return {"status": "ok", "service": name, "version": "1.2.3", "edition": "simple", **more}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    for name, text in {"index.html": "<!doctype html>", "assets/index-abc123.js": "run()" * 200}.items():
        (folder / name).write_text(text)
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (folder / "favicon.svg").write_text("<svg/>")
    return folder


@pytest.fixture
def stack(entry: str, page: Path) -> Iterator[Stack]:
    with ExitStack() as services:
        names = {service.name: service.variable for service in DEFAULTS} | {"control": "CONTROL_URL"}
        fakes: dict[str, Any] = {
            name: services.enter_context(fake_service.running()) for name in names if name not in OWN_FAKES
        }
        for name, fake in fakes.items():
            fake.replies["GET /health"] = (200, health(name))
        for name, make in OWN_FAKES.items():
            fakes[name] = services.enter_context(neighbours.running(make()))
        fakes["storage"].replies["GET /v1/stats"] = (200, {"concepts": 3, "dimension": None, "bytes_on_disk": 4096})
        variables = {variable: fakes[name].url for name, variable in names.items()}
        # A slow machine is no outage. Tests of deadlines set their own.
        variables["SUTRA_CONTROL_DEADLINE_SECONDS"] = "30"
        # No sweeps but the first one and those that a test asks for, however long it takes.
        variables["SUTRA_CONTROL_EVERY_SECONDS"] = "3600"
        # No metrics unless a test wants them.
        variables["SUTRA_METRICS_PORT"] = "0"
        yield Stack(fakes, {**variables, "SUTRA_CONTROL_USERS": entry, "SUTRA_CONTROL_PAGE": str(page)})


@pytest.fixture
def operator(stack: Stack) -> Iterator[TestClient]:
    with stack.operator() as client:
        yield client
