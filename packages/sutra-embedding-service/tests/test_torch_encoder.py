"""Tests the torch engine with a fake of sentence-transformers, which the test environment does not have."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny

from sutra_embedding.encoder import split
from sutra_embedding.engines import load


def test_batches_are_the_same_as_with_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], dict[str, Any]]] = []

    class SentenceTransformer:
        def __init__(self, path: str, **_: object) -> None:
            assert path == str(tmp_path / "m")

        def encode(self, texts: list[str], **how: Any) -> Any:
            asked.append((texts, how))
            return np.full((len(texts), 64), 1 / 3, np.float32)

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=lambda _: None))
    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=SentenceTransformer))
    monkeypatch.delitem(sys.modules, "sutra_embedding.torch_encoder", raising=False)
    folder = tiny.write(tmp_path / "m")
    texts = ["green " * 20] * 200 + [" " * 5_000, "red"]
    expected = split(load(folder, "onnx", 1).tokenize(texts))
    encoder = load(folder, "torch", 1)
    found = split(encoder.tokenize(texts))
    assert found == expected
    assert (encoder.max_tokens, encoder.measure("red " * 11)) == (12, load(folder, "onnx", 1).measure("red " * 11))
    assert [len(batch.indexes) for batch in found] == [170, 32]
    del asked[:]
    # The digits of a float32.
    assert [encoder.run(batch) for batch in found] == [[[0.33333334] * 64] * 170, [[0.33333334] * 64] * 32]
    assert [given for given, _ in asked] == [[text.text for text in batch.texts] for batch in found]
    # The library must not split a batch.
    assert [how["batch_size"] for _, how in asked] == [170, 32]
    monkeypatch.delitem(sys.modules, "sutra_embedding.torch_encoder")
