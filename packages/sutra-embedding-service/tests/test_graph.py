"""Compares the graph with a numpy implementation on a tiny model, and validates the file with ONNX's checker."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny

from sutra_embedding import convert, folder, graph
from sutra_embedding.encoder import split
from sutra_embedding.engines import load

TEXTS = {"red": [2, 5, 3], "Green, blueish and red.": [2, 6, 1, 7, 8, 9, 5, 10, 3], "": [2, 3]}
FIRST = {"word_embedding_dimension": 64, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


def embed(path: Path) -> Any:
    encoder = load(path, "onnx", 1)
    (batch,) = split(encoder.tokenize(list(TEXTS)))
    vectors = np.empty((len(TEXTS), encoder.dimension))
    vectors[batch.indexes] = encoder.run(batch)
    return vectors


def expected(weights: dict[str, Any], pooling: str = "mean", *, normalize: bool = True) -> Any:
    return np.array([tiny.forward(weights, ids, pooling, normalize=normalize) for ids in TEXTS.values()])


@pytest.mark.parametrize(
    ("files", "pooling", "normalize"),
    [
        ({}, "mean", True),
        ({"modules": tiny.MODULES[:2]}, "mean", False),
        ({"1_Pooling/config": FIRST}, "cls", True),
        ({"1_Pooling/config": {"embedding_dimension": 64, "pooling_mode": "cls"}}, "cls", True),
    ],
)
def test_every_kind_of_pooling(tmp_path: Path, files: dict[str, Any], pooling: str, normalize: bool) -> None:
    tiny.write(tmp_path / "m", **files)
    assert embed(tmp_path / "m") == pytest.approx(expected(tiny.tensors(), pooling, normalize=normalize), abs=1e-5)


def test_tensor_names_may_have_a_prefix_and_the_pooler_is_ignored(tmp_path: Path) -> None:
    weights = {f"bert.{name}": values for name, values in tiny.tensors().items()}
    tiny.write(tmp_path / "m", weights | {"bert.pooler.dense.bias": np.ones(64, np.float32)})
    assert embed(tmp_path / "m") == pytest.approx(expected(tiny.tensors()), abs=1e-5)


@pytest.mark.parametrize(("kind", "error"), [("F16", 2e-3), ("BF16", 2e-2)])
def test_16_bit_weights(tmp_path: Path, kind: str, error: float) -> None:
    tiny.write(tmp_path / "m")
    tiny.write_weights(tmp_path / "m/model.safetensors", tiny.tensors(), kind)
    assert embed(tmp_path / "m") == pytest.approx(expected(tiny.tensors()), abs=error)


def test_a_converted_folder(tmp_path: Path) -> None:
    tiny.write(tmp_path / "m")
    convert.convert(tmp_path / "m", tmp_path / "small" / "m")
    assert not (tmp_path / "small/m/model.safetensors").exists()
    assert embed(tmp_path / "small/m") == pytest.approx(expected(tiny.tensors()), abs=2e-2)


def embed_in_8_bits(path: Path) -> Any:
    encoder = load(path, "onnx", 1, "int8")
    (batch,) = split(encoder.tokenize(list(TEXTS)))
    vectors = np.empty((len(TEXTS), encoder.dimension))
    vectors[batch.indexes] = encoder.run(batch)
    return vectors


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_8_bits_in_memory(tmp_path: Path, pooling: str) -> None:
    tiny.write(tmp_path / "m", **{"1_Pooling/config": FIRST if pooling == "cls" else tiny.POOLING})
    exact, found = expected(tiny.tensors(), pooling), embed_in_8_bits(tmp_path / "m")
    assert found == pytest.approx(exact, abs=0.03)
    assert (found * exact).sum(1).min() > 0.995
    assert np.abs(found - exact).max() > 1e-4


def test_sizes_that_cannot_be_divided_into_blocks_are_rejected(tmp_path: Path) -> None:
    weights = {
        name: values[:80] if values.shape[0] == 96 else values[..., :80] if values.shape[-1] == 96 else values
        for name, values in tiny.tensors().items()
    }
    tiny.write(tmp_path / "m", weights, config=tiny.CONFIG | {"intermediate_size": 80})
    with pytest.raises(graph.ModelError, match=r"multiples of 32, not \(64, 80\); use float32"):
        load(tmp_path / "m", "onnx", 1, "int8")
    assert load(tmp_path / "m", "onnx", 1).dimension == 64


def test_a_converted_folder_has_its_own_precision(tmp_path: Path) -> None:
    convert.convert(tiny.write(tmp_path / "m"), tmp_path / "c")
    with pytest.raises(graph.ModelError, match="is already converted; set MODEL_DIR to the original folder"):
        load(tmp_path / "c", "onnx", 1, "int8")


@pytest.mark.parametrize("precision", ["float32", graph.COMPACT, "int8"])
def test_the_file_is_valid_onnx(tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compact = precision == graph.COMPACT
    monkeypatch.setattr("sutra_embedding.onnx_file.EXTERNAL_BYTES", 512)
    found = folder.inspect_folder(tiny.write(tmp_path / "m"))
    model = graph.build(found, *folder.weights(found), precision)
    assert bool(model.data) is bool(model.data_name) is compact
    if compact:
        (tmp_path / model.data_name).write_bytes(model.data)
    (tmp_path / "model.onnx").write_bytes(model.proto)
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=False)
    read = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    assert [value.name for value in read.graph.input] == ["input_ids", "attention_mask"]
    assert {entry.key: entry.value for entry in read.metadata_props}["max_tokens"] == "12"
    stored = {tensor.data_type for tensor in read.graph.initializer}
    # Also the scales of word embeddings in 8 bits.
    assert (onnx.TensorProto.FLOAT16 in stored) is (precision != "float32")
    assert (onnx.TensorProto.INT8 in stored) is (precision != "float32")
    assert (onnx.TensorProto.UINT8 in stored) is (precision == "int8")
    external = [tensor for tensor in read.graph.initializer if tensor.external_data]
    assert bool(external) is compact
    for tensor in external:
        facts = {entry.key: entry.value for entry in tensor.external_data}
        assert (facts["location"], int(facts["offset"]) % 512) == (model.data_name, 0)


def test_the_converted_model_is_less_than_half_the_size(original_folder: Path, converted_folder: Path) -> None:
    before = (original_folder / "model.safetensors").stat().st_size
    model = converted_folder / "sutra-embedding.onnx"
    (data,) = converted_folder.glob("sutra-embedding.*.data")
    assert model.stat().st_size + data.stat().st_size < before * 0.3
    assert model.stat().st_size < before * 0.01
    assert (converted_folder / "README.md").read_text(encoding="utf-8").count("apache-2.0")


def test_a_model_over_protobufs_limit_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sutra_embedding.onnx_file.MAX_BYTES", 1000)
    tiny.write(tmp_path / "m")
    with pytest.raises(graph.ModelError, match="at most 1000; use a smaller model"):
        load(tmp_path / "m", "onnx", 1)
