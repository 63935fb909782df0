import json
from typing import Any

import pytest
from conftest import health

from sutra_control.health import HealthReport, read_health


def read(status: int, content: Any) -> HealthReport:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_health("nlg", "NLG_URL", status, raw, 12.5)


def test_a_healthy_service() -> None:
    seen = read(200, health("nlg", dependencies={"storage": "ok"}, limits={"max_texts": 32}))
    assert seen == HealthReport("ok", "", 12.5, "1.2.3", "simple", {"storage": "ok"}, {"max_texts": 32})


@pytest.mark.parametrize(
    ("status", "content", "state", "words"),
    [
        (503, {"status": "starting", "service": "nlg"}, "starting", "starting"),
        (503, {"status": "stopping", "service": "nlg"}, "stopping", "stopping"),
        (503, {"status": "failed", "service": "nlg", "reason": "no model in /models"}, "failed", "no model in /models"),
        (503, {"status": "failed", "service": "nlg"}, "failed", "log"),
        (503, {"status": "ok", "service": "nlg"}, "not_ready", "503"),
        (200, {"status": "odd", "service": "nlg"}, "not_ready", "'odd'"),
        (200, {}, "not_ready", "None"),
        (200, {"status": "ok", "service": "api"}, "mistaken", "correct NLG_URL"),
        (200, b"<html>", "failed", "without a health report"),
        (200, b"\xff", "failed", "without a health report"),
        (200, b"[" * 50_000, "failed", "without a health report"),
        (200, [], "failed", "NLG_URL"),
        (404, {"error": {"code": "not_found", "message": "m"}}, "not_ready", "404"),
    ],
)
def test_every_other_state_has_a_reason(status: int, content: Any, state: str, words: str) -> None:
    seen = read(status, content)
    assert (seen.state, seen.ms) == (state, 12.5)
    assert words in seen.reason


def test_values_are_truncated_and_wrong_types_ignored() -> None:
    long = "x" * 10_000
    seen = read(
        200,
        health(
            "nlg",
            version=long,
            edition=7,
            dependencies={str(number): "ok" for number in range(100)} | {"storage": {"state": "ok"}},
            limits={"a": True, "b": "5", "c": 5, long: 1},
        ),
    )
    assert seen.state == "ok"
    assert seen.version
    assert len(seen.version) == 300
    assert seen.edition is None
    assert len(seen.dependencies) == 32
    assert seen.limits == {"c": 5, "x" * 300: 1}
