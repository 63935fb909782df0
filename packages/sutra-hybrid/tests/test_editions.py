"""Tests of each edition's capabilities and limits, independent of the installed libraries."""

import subprocess
import sys
from typing import Any

import pytest
from backends import Backends, code
from sutra_service.settings import Environment, SettingError

from sutra_hybrid import application, capabilities
from sutra_hybrid.capabilities import CAPABILITIES
from sutra_hybrid.limits import LIMITS

LIBRARIES = ("numpy", "sklearn", "scipy", "rapidfuzz")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: name)


@pytest.mark.parametrize("edition", list(CAPABILITIES))
def test_an_edition_describes_itself(backends: Backends, installed: None, edition: str) -> None:
    with backends.hybrid(SUTRA_EDITION=edition, SUTRA_SERVICE_VERSION="1.2.3") as client:
        shown = client.get("/capabilities").json()
        health = client.get("/health").json()
        assert client.get("/ping").json() == {"pong": True}
    assert shown == {"edition": edition, "capabilities": list(CAPABILITIES[edition])}
    assert (health["service"], health["version"], health["edition"]) == ("hybrid", "1.2.3", edition)
    assert health["limits"] == LIMITS[edition].fields()
    assert sorted(health["dependencies"]) == ["embedding", "nlg", "storage"]


def test_each_edition_extends_the_previous_one() -> None:
    simple, community, enterprise = (set(CAPABILITIES[name]) for name in ("simple", "community", "enterprise"))
    assert simple < community < enterprise


@pytest.mark.parametrize("edition", list(LIMITS))
def test_the_limits_of_an_edition(backends: Backends, installed: None, edition: str) -> None:
    texts = [f"text {number}" for number in range(1_000)]
    with backends.hybrid(SUTRA_EDITION=edition) as client:
        answer = client.post("/learn", json={"texts": texts})
        assert answer.json()["learned"] == len(backends.concepts) == 1_000
        assert code(client.post("/learn", json={"texts": [*texts, "more"]})) == (422, "beyond_limit")
        long = "a" * (LIMITS[edition].max_text_characters + 1)
        assert code(client.post("/learn", json={"texts": [long]})) == (422, "beyond_limit")
    assert (
        LIMITS[edition].max_text_characters == {"simple": 100_000, "community": 200_000, "enterprise": 500_000}[edition]
    )


def test_simple_names_the_editions_with_topics(backends: Backends) -> None:
    with backends.hybrid() as client:
        answer = client.post("/topics", json={"question": "a"})
        assert code(client.get("/topics")) == (405, "method_not_allowed")
    assert code(answer) == (403, "not_in_edition")
    assert "community or enterprise" in answer.json()["error"]["message"]
    assert backends.storage.requests == []


@pytest.mark.parametrize(
    ("edition", "missing", "distribution"),
    [
        ("community", "sklearn", "scikit-learn"),
        ("community", "numpy", "numpy"),
        ("enterprise", "scipy", "scipy"),
        ("enterprise", "rapidfuzz", "rapidfuzz"),
    ],
)
def test_a_missing_library_is_reported_at_startup(
    monkeypatch: pytest.MonkeyPatch, edition: str, missing: str, distribution: str
) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: None if name == missing else name)
    environment = Environment({"SUTRA_EDITION": edition})
    with pytest.raises(SettingError, match=rf"needs {distribution}, .*EDITION={edition}"):
        application.create(application.read_settings(environment), environment)


def test_simple_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: None)
    environment = Environment({})
    application.create(application.read_settings(environment), environment)


@pytest.mark.parametrize("edition", list(CAPABILITIES))
def test_startup_imports_no_library(edition: str) -> None:
    program = (
        "import sys; from sutra_hybrid import application, capabilities, asking, recall, learning;"
        "capabilities.find_spec = lambda name: name;"
        "from sutra_service.settings import Environment;"
        f"environment = Environment({{'SUTRA_EDITION': {edition!r}}});"
        "application.create(application.read_settings(environment), environment);"
        f"print(sorted({set(LIBRARIES)!r} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUTRA_EDITION", "pro"),
        ("EMBEDDING_URL", "embedding"),
        ("STORAGE_URL", "tcp://x"),
        ("NLG_URL", "http://"),
        ("SUTRA_HYBRID_DEADLINE_SECONDS", "0"),
        ("SUTRA_HYBRID_NLG_DEADLINE_SECONDS", "soon"),
        ("SUTRA_HYBRID_QUESTION_SECONDS", "0"),
        ("SUTRA_HYBRID_MIN_COSINE_PERCENT", "101"),
    ],
)
def test_an_invalid_setting_is_reported(name: str, value: str) -> None:
    environment: Any = Environment({name: value})
    with pytest.raises(SettingError, match=name):
        application.create(application.read_settings(environment), environment)
