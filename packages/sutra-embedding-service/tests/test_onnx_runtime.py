"""Tests errors and memory of the binding to ONNX Runtime's C library."""

import gc
import re
from pathlib import Path

import pytest
from test_calculations import array, random, tensor

from sutra_embedding import onnx_runtime
from sutra_embedding.errors import ModelError
from sutra_embedding.onnx_file import Graph
from sutra_embedding.onnx_runtime import Library, OnnxRuntimeError, Session
from sutra_embedding.tensors import integers


def doubling() -> bytes:
    graph = Graph(external_data=False)
    value = graph.input("value", "float32", ("rows", 2))
    graph.node("Add", value, value, name="doubled")
    graph.output("doubled", "float32")
    return graph.model("test", {"name": "größer", "empty": ""}).proto


def test_a_model_from_memory_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "größer.onnx").write_bytes(doubling())
    values = random(3, 2)
    for model in (doubling(), tmp_path / "größer.onnx"):
        session = Session(model, 1)
        assert (array(session.run({"value": tensor(values)}, "doubled")) == values * 2).all()
        assert session.run({"value": tensor(random(0, 2))}, "doubled").data == b""
        assert [session.property(name) for name in ("name", "empty", "missing")] == ["größer", "", None]


@pytest.mark.parametrize("model", [b"", b"no model", Path("missing.onnx")])
def test_a_model_that_cannot_be_loaded(model: bytes | Path) -> None:
    with pytest.raises(OnnxRuntimeError):
        Session(model, 1)


def test_inputs_that_do_not_fit() -> None:
    session = Session(doubling(), 1)
    for values, output, message in (
        ({"value": integers(1, 2)}, "doubled", "Unexpected input data type"),
        ({"value": tensor(random(1, 3))}, "doubled", "invalid dimensions"),
        ({"other": tensor(random(1, 2))}, "doubled", "other"),
        ({"value": tensor(random(1, 2))}, "other", "other"),
    ):
        with pytest.raises(OnnxRuntimeError, match=message):
            session.run(values, output)


def test_a_library_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib.so").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot load ONNX Runtime"):
        Library(tmp_path / "lib.so")
    installed = Path(onnx_runtime.library().path)
    monkeypatch.setattr(onnx_runtime, "API_VERSION", 10_000)
    with pytest.raises(ModelError, match="does not support API version 10000; install another version"):
        Library(installed)
    onnx_runtime.library.cache_clear()
    monkeypatch.setattr(onnx_runtime, "LIBRARY", "missing.so")
    with pytest.raises(ModelError, match="ONNX Runtime is not installed"):
        onnx_runtime.library()
    onnx_runtime.library.cache_clear()


def test_memory_is_freed() -> None:
    # A leaked session keeps 20 MB, and a leaked result 0.4 MB.
    graph = Graph(external_data=False)
    value = graph.input("value", "float32", ("rows", 2))
    graph.node("Add", value, graph.constant(tensor(random(2_500_000, 2)[:1])), name="sum")
    graph.node("Identity", graph.constant(tensor(random(2_500_000, 2))), name="large")
    graph.output("sum", "float32")
    graph.output("large", "float32")
    model = graph.model("test", {"name": "large"}).proto
    values = tensor(random(50_000, 2))

    def resident() -> int:
        gc.collect()
        found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
        assert found
        return int(found.group(1))

    def use() -> None:
        session = Session(model, 1)
        for _ in range(100):
            session.run({"value": values}, "sum")
        assert session.property("name") == "large"
        with pytest.raises(OnnxRuntimeError):
            session.run({"other": values}, "sum")

    use()
    before = resident()
    for _ in range(5):
        use()
    assert resident() - before < 40_000
