import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from starlette.testclient import TestClient
from sutra_service.settings import Environment, SettingError

from sutra_embedding import application
from sutra_embedding.limits import LIMITS
from sutra_embedding.work_queue import WorkQueue


def service(folder: Path, **variables: str) -> TestClient:
    environment = Environment({"MODEL_DIR": str(folder), "SUTRA_EMBEDDING_THREADS": "1", **variables})
    app = application.create(application.read_settings(environment), environment)
    return TestClient(app, raise_server_exceptions=False)


def wait(client: TestClient, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while (health := client.get("/health").json())["status"] == "starting" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert health["status"] == status
    return health  # type: ignore[no-any-return]


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "tiny-model")


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with service(folder) as client:
        wait(client, "ok")
        yield client


def test_several_texts(client: TestClient) -> None:
    answer = client.post("/embed", json={"texts": ["red", "green and blue.", "red"]})
    assert answer.status_code == 200
    assert list(answer.json()) == ["embeddings", "dimension", "model"]
    assert (answer.json()["dimension"], answer.json()["model"]) == (64, "tiny-model")
    first, second, third = (np.array(vector) for vector in answer.json()["embeddings"])
    assert first == pytest.approx(tiny.forward(tiny.tensors(), [2, 5, 3], "mean", normalize=True), abs=1e-5)
    assert first == pytest.approx(third, abs=1e-6)
    assert first @ second < 0.99


def test_one_text(client: TestClient) -> None:
    one = client.post("/embed", json={"text": "red"}).json()
    assert one == client.post("/embed", json={"texts": ["red"]}).json()


def test_an_empty_text_has_a_vector(client: TestClient) -> None:
    for body in ({"text": ""}, {"texts": [""]}, {"texts": ["  \n"]}):
        (vector,) = client.post("/embed", json=body).json()["embeddings"]
        assert vector == pytest.approx(tiny.forward(tiny.tensors(), [2, 3], "mean", normalize=True), abs=1e-5)


def test_a_long_text_is_truncated(client: TestClient) -> None:
    # The limit is 12 tokens with the two special ones; the tokenizer file's limit of 4 is ignored.
    ten, eleven, nine = (
        client.post("/embed", json={"text": "red " * number}).json()["embeddings"] for number in (10, 11, 9)
    )
    assert ten == eleven
    assert ten != nine


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        (b"", 422, "invalid_request", "body"),
        (b"{", 400, "invalid_json", "not valid JSON"),
        (b"\xff\xfe", 400, "invalid_json", "not UTF-8"),
        (b"[" * 100_000, 400, "bad_request", ""),
        (b"[]", 422, "invalid_request", "body"),
        (b"null", 422, "invalid_request", "body"),
        (b"{}", 422, "invalid_request", 'either "texts"'),
        (b'{"text": null}', 422, "invalid_request", 'either "texts"'),
        (b'{"text": "a", "texts": ["b"]}', 422, "invalid_request", 'either "texts"'),
        (b'{"texts": []}', 422, "invalid_request", "body.texts"),
        (b'{"texts": "a"}', 422, "invalid_request", "body.texts"),
        (b'{"texts": ["a", 1]}', 422, "invalid_request", "body.texts[1]"),
        (b'{"texts": ["a", null]}', 422, "invalid_request", "body.texts[1]"),
        (b'{"text": 1}', 422, "invalid_request", "body.text"),
        (b'{"text": "a", "prompt": "b"}', 422, "invalid_request", "body.prompt"),
        (b'{"texts": ["a", "b\\ud83d"]}', 422, "invalid_request", "lone surrogate"),
        (b'{"text": "\xed\xa0\xbd"}', 400, "invalid_json", "not UTF-8"),
    ],
)
def test_an_invalid_body_is_rejected(client: TestClient, body: bytes, status: int, kind: str, words: str) -> None:
    answer = client.post("/embed", content=body, headers={"Content-Type": "application/json"})
    assert code(answer) == (status, kind)
    assert words in answer.json()["error"]["message"]


def test_a_wrong_content_type_method_or_path_is_rejected(client: TestClient) -> None:
    assert code(client.post("/embed", content=b"red", headers={"Content-Type": "text/plain"}))[0] == 415
    assert code(client.get("/embed"))[0] == 405
    assert code(client.get("/nowhere"))[0] == 404


@pytest.mark.parametrize("edition", LIMITS)
def test_the_limits_of_each_edition(folder: Path, edition: str) -> None:
    limits = LIMITS[edition]
    with service(folder, SUTRA_EDITION=edition) as client:
        health = wait(client, "ok")
        assert (health["edition"], health["model"]) == (edition, "tiny-model")
        assert health["limits"] == {
            "max_texts": {"simple": 32, "community": 64, "enterprise": 128}[edition],
            "max_text_characters": limits.max_text_characters,
            "max_body_bytes": limits.max_body_bytes,
        }
        most = client.post("/embed", json={"texts": ["red"] * limits.max_texts})
        assert len(most.json()["embeddings"]) == limits.max_texts
        beyond = client.post("/embed", json={"texts": ["red"] * (limits.max_texts + 1)})
        assert code(beyond) == (422, "beyond_limit")
        assert f"{limits.max_texts + 1} texts, but edition {edition} allows at most {limits.max_texts}" in beyond.text
        long = "r" * limits.max_text_characters
        assert client.post("/embed", json={"text": long}).status_code == 200
        assert "body.texts[1]" in client.post("/embed", json={"texts": ["", long + "r"]}).json()["error"]["message"]
        assert "body.text:" in client.post("/embed", json={"text": long + "r"}).json()["error"]["message"]
        body = json.dumps({"text": "red"}).encode()
        headers = {"Content-Type": "application/json"}
        assert client.post("/embed", content=body.ljust(limits.max_body_bytes), headers=headers).status_code == 200
        large = client.post("/embed", content=body.ljust(limits.max_body_bytes + 1), headers=headers)
        assert code(large) == (413, "body_too_large")


def test_an_unusable_folder_is_reported_and_there_is_no_fallback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missing = tmp_path / "nowhere"
    with service(missing) as client:
        health = wait(client, "failed")
        assert client.get("/health").status_code == 503
        answer = client.post("/embed", json={"text": "red"})
    assert f"model folder not found: MODEL_DIR={missing}" in health["reason"]
    assert code(answer) == (503, "not_ready")
    assert str(missing) in answer.json()["error"]["message"]
    assert str(missing) in caplog.text


def test_the_service_keeps_running_after_any_loading_error(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        raise KeyError("of\na library")

    monkeypatch.setattr(application, "load", load)
    with service(folder) as client:
        reason = wait(client, "failed")["reason"]
        assert client.app.state.readiness.keep_running  # type: ignore[attr-defined]
    assert f"cannot load {folder}: KeyError: 'of\\na library'; copy the folder again" in reason
    assert "Traceback" in caplog.text


def test_the_default_deadline_is_shorter_than_hybrids(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queues: list[tuple[int, ...]] = []

    def record(*arguments: int) -> WorkQueue:
        queues.append(arguments)
        return WorkQueue(*arguments)

    monkeypatch.setattr(application, "WorkQueue", record)
    service(folder)
    service(folder, SUTRA_EMBEDDING_PLACES="5", SUTRA_EMBEDDING_DEADLINE_SECONDS="600")
    assert queues == [(64, 9), (5, 600)]


def test_an_invalid_setting_is_reported(folder: Path) -> None:
    for variable in ("SUTRA_EMBEDDING_THREADS", "SUTRA_EMBEDDING_PLACES", "SUTRA_EMBEDDING_DEADLINE_SECONDS"):
        with pytest.raises(SettingError, match=variable):
            service(folder, **{variable: "0"})
    with pytest.raises(SettingError, match="onnx, torch"):
        service(folder, SUTRA_EMBEDDING_ENGINE="tensorflow")


def test_8_bits_are_for_enterprise_and_onnx(folder: Path) -> None:
    variables = {"SUTRA_EMBEDDING_PRECISION": "int8"}
    with service(folder, SUTRA_EDITION="enterprise", **variables) as client:
        wait(client, "ok")
        eight = client.post("/embed", json={"text": "red"}).json()["embeddings"]
    with service(folder, SUTRA_EDITION="enterprise") as client:
        wait(client, "ok")
        exact = client.post("/embed", json={"text": "red"}).json()["embeddings"]
    assert eight != exact
    assert eight[0] == pytest.approx(exact[0], abs=0.03)
    for other in ({"SUTRA_EDITION": "community"}, {"SUTRA_EDITION": "enterprise", "SUTRA_EMBEDDING_ENGINE": "torch"}):
        with pytest.raises(SettingError, match="needs edition enterprise and engine onnx"):
            service(folder, **other, **variables)
    with pytest.raises(SettingError, match="float32, int8"):
        service(folder, SUTRA_EMBEDDING_PRECISION="int4")
