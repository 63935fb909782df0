"""Unusable model folders: each is rejected with a clear error, by the common validation or the ONNX engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from sutra_embedding import convert
from sutra_embedding.engines import load
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import inspect_folder


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(folder, "onnx", 1)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "model folder not found: MODEL_DIR=" in refusal(tmp_path / "nowhere")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "has no config.json; mount a complete sentence-transformers folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config": tiny.CONFIG | {"model_type": "llama"}}, "unsupported architecture: 'llama' (BertModel)"),
        ({"config": {}}, "unsupported architecture: None (unnamed)"),
        ({"config": {"model_type": "t5", "architectures": 3}}, "unsupported architecture: 't5' (3)"),
        ({"config": []}, "unexpected JSON type: list instead of dict"),
        ({"config": tiny.CONFIG | {"hidden_act": "silu"}}, "unsupported hidden_act: 'silu'; use a model with 'gelu'"),
        ({"config": tiny.CONFIG | {"position_embedding_type": "relative_key"}}, "position_embedding_type"),
        ({"config": tiny.CONFIG | {"num_hidden_layers": "six"}}, "num_hidden_layers is 'six'"),
        ({"config": tiny.CONFIG | {"num_hidden_layers": 3}}, "has no tensor encoder.layer.2"),
        ({"config": tiny.CONFIG | {"num_attention_heads": 5}}, "not a multiple of num_attention_heads"),
        ({"config": tiny.CONFIG | {"layer_norm_eps": "small"}}, "layer_norm_eps is 'small'"),
        ({"config": tiny.CONFIG | {"intermediate_size": 97}}, "has shape [96, 64], but config.json says [97, 64]"),
        ({"modules": None}, "has no modules.json"),
        ({"modules": [*tiny.MODULES[:2], {"path": "2_Dense", "type": "x.Dense"}]}, "Transformer, Pooling, Dense; use"),
        ({"modules": [1]}, "modules.json is damaged"),
        ({"modules": [tiny.MODULES[0] | {"path": "0_T"}, tiny.MODULES[1]]}, "is in the subfolder '0_T'"),
        ({"1_Pooling/config": None}, "has no 1_Pooling/config.json"),
        ({"1_Pooling/config": {"pooling_mode_max_tokens": True}}, "unsupported pooling: ['pooling_mode_max_tokens']"),
        ({"1_Pooling/config": {"pooling_mode": ["mean", "cls"]}}, "unsupported pooling"),
        ({"1_Pooling/config": tiny.POOLING | {"word_embedding_dimension": 32}}, "the pooling has dimension 32"),
        ({"sentence_bert_config": {"max_seq_length": 17}}, "must be between 3 and 16"),
        ({"sentence_bert_config": {"max_seq_length": 12, "do_lower_case": True}}, "do_lower_case is not supported"),
        (
            {"sentence_bert_config": None, "tokenizer_config": {"model_max_length": "512"}},
            "is '512', but must be a number",
        ),
        ({"sentence_bert_config": None, "tokenizer_config": {"model_max_length": 2}}, "must be between 3 and 16"),
        ({"config_sentence_transformers": {"default_prompt_name": "query"}}, "default prompts are not supported"),
        ({"tokenizer": None}, "has no tokenizer.json"),
        ({"tokenizer": {"version": "1.0"}}, "tokenizer.json: "),
        ({"config": tiny.CONFIG | {"vocab_size": 10}}, "tokenizer.json has 11 tokens, but the model has 10"),
        ({"config": tiny.CONFIG | {"vocab_size": 12}}, "has shape [11, 64], but config.json says [12, 64]"),
    ],
)
def test_an_unusable_configuration_is_rejected(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    assert words in refusal(tiny.write(tmp_path / "m", **files))


@pytest.mark.parametrize("content", ['{"model_type": ', "[" * 100_000])
def test_a_configuration_that_is_not_json_is_rejected(tmp_path: Path, content: str) -> None:
    folder = tiny.write(tmp_path / "m")
    (folder / "config.json").write_text(content, encoding="utf-8")
    assert "config.json is not valid JSON" in refusal(folder)


def test_the_default_length_is_the_tokenizers(tmp_path: Path) -> None:
    for number, (given, length) in enumerate([(12, 12), (512, 16), (10**30, 16), (1e30, 16)]):
        files: dict[str, Any] = {"sentence_bert_config": None, "tokenizer_config": {"model_max_length": given}}
        assert inspect_folder(tiny.write(tmp_path / str(number), **files)).max_tokens == length


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    words = {f"word{number}": number for number in range(20)} | {"[UNK]": 20}
    model = tiny.TOKENIZER["model"] | {"vocab": words}  # type: ignore[operator]
    folder = tiny.write(tmp_path / "m", tokenizer=tiny.TOKENIZER | {"model": model, "post_processor": None})
    assert "tokenizer.json has 21 tokens, but the model has 11" in refusal(folder)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def truncate_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_format(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(100_000))


def damaged_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"dtype"', b'"dtyqe"', 1))


def nested_brackets(path: Path) -> None:
    path.write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def without_a_tensor(path: Path) -> None:
    weights = tiny.tensors()
    del weights["embeddings.LayerNorm.bias"]
    tiny.write_weights(path, weights)


def as_float64(path: Path) -> None:
    tiny.write_weights(path, tiny.tensors(), "F64")


def not_a_number(path: Path) -> None:
    weights = tiny.tensors()
    weights["embeddings.LayerNorm.bias"][0] = np.nan
    tiny.write_weights(path, weights)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "has no model.safetensors; save the model with safe_serialization"),
        (truncate, "has the wrong size"),
        (truncate_header, "is truncated or not a safetensors file: it has 100 bytes"),
        (empty, "is truncated or not a safetensors file: it has 0 bytes"),
        (other_format, "is truncated or not a safetensors file"),
        (damaged_header, "has a damaged header"),
        (nested_brackets, "has a damaged header"),
        (append, "has the wrong size"),
        (without_a_tensor, "has no tensor embeddings.LayerNorm.bias"),
        (as_float64, ": F64; save the model as one of F32, F16, BF16"),
        (not_a_number, "the model returns NaN or infinity"),
    ],
)
def test_damaged_weights_are_rejected(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    folder = tiny.write(tmp_path / "m")
    damage(folder / "model.safetensors")
    assert words in refusal(folder)


def test_a_truncated_converted_model_is_rejected(tmp_path: Path) -> None:
    convert.convert(tiny.write(tmp_path / "m"), tmp_path / "c")
    truncate(tmp_path / "c/sutra-embedding.onnx")
    assert "ONNX Runtime cannot load the model" in refusal(tmp_path / "c")


def test_truncated_or_missing_external_data_is_rejected(tmp_path: Path) -> None:
    convert.convert(tiny.write(tmp_path / "m"), tmp_path / "c")
    (data,) = (tmp_path / "c").glob("sutra-embedding.*.data")
    truncate(data)
    assert "ONNX Runtime cannot load the model" in refusal(tmp_path / "c")
    data.unlink()
    assert "ONNX Runtime cannot load the model" in refusal(tmp_path / "c")


def test_a_converted_model_of_another_folder_is_rejected(tmp_path: Path) -> None:
    convert.convert(tiny.write(tmp_path / "m"), tmp_path / "c")
    convert.convert(tiny.write(tmp_path / "n", sentence_bert_config={"max_seq_length": 9}), tmp_path / "d")
    (tmp_path / "d/sutra-embedding.onnx").rename(tmp_path / "c/sutra-embedding.onnx")
    assert "does not match its folder or this version; run python -m sutra_embedding.convert" in refusal(tmp_path / "c")


def test_the_convert_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert.main([str(tmp_path)]) == 2
    assert convert.main([str(tmp_path), str(tmp_path / "c")]) == 1
    assert "cannot convert:" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
    assert convert.main([str(tiny.write(tmp_path / "m")), str(tmp_path / "c")]) == 0
    assert load(tmp_path / "c", "onnx", 1).dimension == 64
