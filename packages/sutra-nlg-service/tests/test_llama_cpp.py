"""Tests that llama.cpp gives the same output as transformers on every CPU backend, and reports broken checkpoints."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import tiny_checkpoint
from support.cases import ANSWER_TOKENS, CASES, small_limits
from support.recorded import RECORD
from support.service import Service, running
from sutra_service.readiness import StartError

from sutra_nlg.model import engine
from sutra_nlg.model.chat import Part
from sutra_nlg.model.generator import Generator
from sutra_nlg.requests import GenerateRequest
from sutra_nlg.work import Stop, Stopped

pytestmark = pytest.mark.usefixtures("llama_cpp")
SHAPE = tiny_checkpoint.Shape()
BODY = {"question": "Is the tower red?", "facts": [{"id": "a", "text": "The tower is red.", "score": 1}]}


@pytest.fixture(scope="module")
def model(gguf_folder: Path) -> engine.Engine:
    return engine.load(gguf_folder, SHAPE.context, 1)


def say(model: engine.Engine, tokens: list[int], most: int = ANSWER_TOKENS) -> list[int]:
    said: list[int] = []
    for token in model.generate(tokens, Stop()):
        said.append(token)
        if len(said) == most:
            break
    return said


@pytest.mark.parametrize("entry", RECORD["prompts"], ids=lambda entry: entry["prompt"][:12])
def test_the_same_tokens_as_transformers(model: engine.Engine, entry: dict[str, Any]) -> None:
    assert model.tokenize([Part(entry["prompt"])]) == entry["tokens"]
    assert say(model, entry["tokens"]) == entry["said"]
    assert model.text(entry["said"]) == entry["text"]


@pytest.mark.parametrize("index", range(len(CASES)))
def test_the_same_replies_as_transformers(model: engine.Engine, index: int) -> None:
    generator = Generator(model, small_limits(), "plain")
    reply = generator.answer(GenerateRequest.model_validate(CASES[index]), Stop())
    assert reply.model_dump(mode="json") == RECORD["replies"][index]


def test_several_threads_give_the_same_tokens(gguf_folder: Path) -> None:
    model = engine.load(gguf_folder, SHAPE.context, 3)
    assert [say(model, entry["tokens"]) for entry in RECORD["prompts"]] == [
        entry["said"] for entry in RECORD["prompts"]
    ]


def variants() -> Iterator[Path]:
    import llama_cpp  # noqa: PLC0415

    return (Path(llama_cpp.__file__).parent / "lib").glob("libggml-cpu-*.so")


def test_every_cpu_backend_gives_the_same_tokens(gguf_folder: Path, tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from sutra_nlg.model import engine
from sutra_nlg.work import Stop
model = engine.load(Path(sys.argv[1]), 2560, 1)
print(json.dumps([[token for token, _ in zip(model.generate(tokens, Stop()), range(48))] for tokens in json.loads(sys.argv[2])]))
"""
    prompts = json.dumps([entry["tokens"] for entry in RECORD["prompts"]])
    # "flags" on amd64, "Features" on arm64.
    listed = re.search("^(?:flags|Features)(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    flags = listed[1].split() if listed else []
    wanted = {
        "haswell": {"avx2", "fma", "f16c", "bmi2"},
        "icelake": {"avx512f", "avx512vl", "avx512_vnni", "avx512vbmi"},
        "armv8.2_2": {"asimddp", "asimdhp"},
        "armv8.6_1": {"asimddp", "asimdhp", "sve", "i8mm"},
    }
    tried = []
    for variant in variants():
        name = variant.stem.rpartition("-")[2]
        if not wanted.get(name, set()) <= set(flags):
            continue
        alone = tmp_path / name
        shutil.copytree(variant.parent, alone, ignore=shutil.ignore_patterns("libggml-cpu-*"))
        shutil.copy(variant, alone)
        environment = {
            "PYTHONPATH": ":".join(sys.path),
            "LLAMA_CPP_LIB_PATH": str(alone),
            "LD_LIBRARY_PATH": str(alone),
        }
        output = subprocess.run(
            [sys.executable, "-c", code, gguf_folder, prompts],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert json.loads(output) == [entry["said"] for entry in RECORD["prompts"]]
        tried.append(name)
    assert {"x64", "armv8.0_1"} & set(tried)


def test_only_control_parts_become_control_tokens(model: engine.Engine) -> None:
    assert 1 not in model.tokenize([Part("</s>")])
    assert model.tokenize([Part("</s>", True)]) == [0, 1]
    assert model.tokenize([Part("a"), Part("b")])[0] == 0
    assert model.tokenize([Part("a"), Part("b")]).count(0) == 1


@pytest.mark.parametrize("text", ["", "\x00 nul", "\U0001f5fc" * 500, "a\u0301", "\u202e"])
def test_any_text_survives_tokenizing(model: engine.Engine, text: str) -> None:
    assert model.text(model.tokenize([Part(text)])[1:]) == text


class StopAfter(Stop):
    """Requests a stop after a number of checks."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.checks = 0
        self._limit = limit

    @property
    def requested(self) -> bool:
        self.checks += 1
        return self.checks > self._limit


def test_it_can_stop_within_a_long_prompt(model: engine.Engine) -> None:
    prompt = [5] * 2_000
    counter = StopAfter(math.inf)
    next(iter(model.generate(prompt, counter)), None)
    # Far more checks than the four batches: llama.cpp itself checks between the parts of its computation.
    assert counter.checks > 100
    stopped = StopAfter(counter.checks // 3)
    with pytest.raises(Stopped):
        list(model.generate(prompt, stopped))
    assert stopped.checks < counter.checks // 2
    assert say(model, RECORD["prompts"][0]["tokens"]) == RECORD["prompts"][0]["said"]


def test_the_context_is_never_exceeded(gguf_folder: Path) -> None:
    model = engine.load(gguf_folder, 64, 1)
    assert model.context == 64
    assert len(say(model, [5] * 60, most=1_000)) <= 4


def broken(kind: str, folder: Path) -> Path:
    """Create an unusable model folder."""
    file = folder / "model.gguf"
    if kind == "missing":
        return folder / "nowhere"
    if kind == "file":
        file.write_bytes(b"GGUF")
        return file
    if kind == "no checkpoint":
        tiny_checkpoint.write_safetensors(folder)
        return folder
    tiny_checkpoint.write_gguf(file, architecture="sutra" if kind == "architecture" else "llama")
    content = file.read_bytes()
    if kind == "truncated":
        file.write_bytes(content[: len(content) * 2 // 3])
    if kind == "truncated head":
        file.write_bytes(content[:1_000])
    if kind == "other content":
        file.write_bytes(b"<html>not found</html>" * 100)
    if kind == "empty":
        file.write_bytes(b"")
    if kind == "two":
        shutil.copy(file, folder / "other.gguf")
    return folder


KINDS = {
    "missing": "does not exist",
    "file": "is not a folder",
    "no checkpoint": "no complete *.gguf",
    "architecture": "unknown model architecture: 'sutra'",
    "truncated": "model.gguf: ",
    "truncated head": "model.gguf: ",
    "other content": "model.gguf: ",
    "empty": "model.gguf: ",
    "two": "2 checkpoints (model.gguf, other.gguf)",
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_broken_checkpoint_is_reported(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StartError) as error:
        engine.load(broken(kind, tmp_path), 512, 1)
    assert KINDS[kind] in str(error.value)
    assert "gave no reason" not in str(error.value)


@pytest.mark.parametrize("kind", ["missing", "truncated", "architecture"])
def test_with_a_broken_checkpoint_the_service_is_not_ready(kind: str, tmp_path: Path) -> None:
    with running(MODEL_DIR=str(broken(kind, tmp_path))) as service:
        line = service.wait_for("startup failed")
        wait_until_listening(service)
        health = service.call("/health")
        answer = service.call("/generate", BODY)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
    assert line["level"] == "error"
    assert KINDS[kind] in line["message"]
    assert (health[0], health[1]["status"]) == (503, "failed")
    assert KINDS[kind] in health[1]["reason"]
    assert (answer[0], answer[1]["error"]["code"]) == (503, "not_ready")
    assert KINDS[kind] in answer[1]["error"]["message"]


def test_the_service_answers_with_the_model(gguf_folder: Path) -> None:
    with running(MODEL_DIR=str(gguf_folder), NLG_THREADS="1") as service:
        service.wait_for("ready")
        wait_until_listening(service)
        health = service.call("/health")[1]
        answers = [service.call("/generate", BODY) for _ in range(2)]
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
    assert health["model"]["engine"] == "llama.cpp"
    assert (health["mode"], health["model"]["architecture"]) == ("model", "llama")
    assert answers[0] == answers[1]
    assert (answers[0][0], answers[0][1]["mode"]) == (200, "model")
    assert {citation["id"] for citation in answers[0][1]["citations"]} <= {"a"}


def wait_until_listening(service: Service) -> None:
    if not service.url:
        service.wait_for("running on")


def test_only_the_low_level_api_is_loaded(gguf_folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom sutra_nlg.model import engine\n"
        f"engine.load(Path({str(gguf_folder)!r}), 64, 1)\n"
        "print(sorted({'numpy', 'jinja2', 'diskcache', 'llama_cpp.llama'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).strip() == "[]"
