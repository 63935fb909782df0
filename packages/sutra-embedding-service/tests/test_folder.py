"""Model folders that cannot be used: each is refused with what is wrong, by both engines' common look or by ONNX."""

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
    assert "is not a folder here; mount" in refusal(tmp_path / "nowhere")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "has no config.json; mount a whole sentence-transformers folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config": tiny.CONFIG | {"model_type": "llama"}}, "architecture 'llama' (BertModel) is unknown here"),
        ({"config": {}}, "architecture None (unnamed) is unknown"),
        ({"config": {"model_type": "t5", "architectures": 3}}, "architecture 't5' (3) is unknown"),
        ({"config": []}, "its JSON is a list"),
        ({"config": tiny.CONFIG | {"hidden_act": "silu"}}, "hidden_act is 'silu', and only 'gelu'"),
        ({"config": tiny.CONFIG | {"position_embedding_type": "relative_key"}}, "position_embedding_type"),
        ({"config": tiny.CONFIG | {"num_hidden_layers": "six"}}, "num_hidden_layers is 'six'"),
        ({"config": tiny.CONFIG | {"num_hidden_layers": 3}}, "has no tensor encoder.layer.2"),
        ({"config": tiny.CONFIG | {"num_attention_heads": 5}}, "no multiple of num_attention_heads"),
        ({"config": tiny.CONFIG | {"layer_norm_eps": "small"}}, "layer_norm_eps is 'small'"),
        ({"config": tiny.CONFIG | {"intermediate_size": 97}}, "has the shape [96, 64], config.json says [97, 64]"),
        ({"modules": None}, "has no modules.json"),
        ({"modules": [*tiny.MODULES[:2], {"path": "2_Dense", "type": "x.Dense"}]}, "Transformer, Pooling, Dense are"),
        ({"modules": [1]}, "modules.json is damaged"),
        ({"modules": [tiny.MODULES[0] | {"path": "0_T"}, tiny.MODULES[1]]}, "lies in '0_T'"),
        ({"1_Pooling/config": None}, "has no 1_Pooling/config.json"),
        ({"1_Pooling/config": {"pooling_mode_max_tokens": True}}, "pooling ['pooling_mode_max_tokens'] is not"),
        ({"1_Pooling/config": {"pooling_mode": ["mean", "cls"]}}, "is not understood"),
        ({"1_Pooling/config": tiny.POOLING | {"word_embedding_dimension": 32}}, "the pooling is for 32 numbers"),
        ({"sentence_bert_config": {"max_seq_length": 17}}, "has to lie between 3 and 16"),
        ({"sentence_bert_config": {"max_seq_length": 12, "do_lower_case": True}}, "do_lower_case is not understood"),
        (
            {"sentence_bert_config": None, "tokenizer_config": {"model_max_length": "512"}},
            "is '512' and has to be a number",
        ),
        ({"sentence_bert_config": None, "tokenizer_config": {"model_max_length": 2}}, "has to lie between 3 and 16"),
        ({"config_sentence_transformers": {"default_prompt_name": "query"}}, "wants a prompt"),
        ({"tokenizer": None}, "has no tokenizer.json"),
        ({"tokenizer": {"version": "1.0"}}, "tokenizer.json cannot be read"),
        ({"config": tiny.CONFIG | {"vocab_size": 10}}, "tokenizer.json has 11 tokens, the model 10"),
        ({"config": tiny.CONFIG | {"vocab_size": 12}}, "has the shape [11, 64], config.json says [12, 64]"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    assert words in refusal(tiny.write(tmp_path / "m", **files))


@pytest.mark.parametrize("content", ['{"model_type": ', "[" * 100_000])
def test_a_description_that_is_no_json(tmp_path: Path, content: str) -> None:
    folder = tiny.write(tmp_path / "m")
    (folder / "config.json").write_text(content, encoding="utf-8")
    assert "config.json is not JSON" in refusal(folder)


def test_without_a_length_the_tokenizers_counts(tmp_path: Path) -> None:
    for number, (given, length) in enumerate([(12, 12), (512, 16), (10**30, 16), (1e30, 16)]):
        files: dict[str, Any] = {"sentence_bert_config": None, "tokenizer_config": {"model_max_length": given}}
        assert inspect_folder(tiny.write(tmp_path / str(number), **files)).max_tokens == length


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    words = {f"word{number}": number for number in range(20)} | {"[UNK]": 20}
    model = tiny.TOKENIZER["model"] | {"vocab": words}  # type: ignore[operator]
    folder = tiny.write(tmp_path / "m", tokenizer=tiny.TOKENIZER | {"model": model, "post_processor": None})
    assert "tokenizer.json has 21 tokens, the model 11" in refusal(folder)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_format(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(100_000))


def damaged_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"dtype"', b'"dtyqe"', 1))


def brackets(path: Path) -> None:
    path.write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def without_a_tensor(path: Path) -> None:
    weights = tiny.tensors()
    del weights["embeddings.LayerNorm.bias"]
    tiny.write_weights(path, weights)


def double(path: Path) -> None:
    tiny.write_weights(path, tiny.tensors(), "F64")


def no_numbers(path: Path) -> None:
    weights = tiny.tensors()
    weights["embeddings.LayerNorm.bias"][0] = np.nan
    tiny.write_weights(path, weights)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "has no model.safetensors; save the model with safe_serialization"),
        (cut, "is cut off: its header promises"),
        (cut_in_header, "is cut off or no safetensors file: it has 100 bytes"),
        (empty, "is cut off or no safetensors file: it has 0 bytes"),
        (other_format, "is cut off or no safetensors file"),
        (damaged_header, "has a damaged header"),
        (brackets, "has a damaged header"),
        (longer, "is cut off: its header promises"),
        (without_a_tensor, "has no tensor embeddings.LayerNorm.bias"),
        (double, "is of type F64; save the model in one of F32, F16, BF16"),
        (no_numbers, "the model gives no numbers"),
    ],
)
def test_damaged_weights(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    folder = tiny.write(tmp_path / "m")
    damage(folder / "model.safetensors")
    assert words in refusal(folder)


def test_a_converted_file_that_is_cut_off(tmp_path: Path) -> None:
    convert.convert(tiny.write(tmp_path / "m"), tmp_path / "c")
    cut(tmp_path / "c/sutra-embedding.onnx")
    assert "ONNX Runtime cannot load the model" in refusal(tmp_path / "c")


def test_a_converted_files_data_that_is_cut_off_or_missing(tmp_path: Path) -> None:
    convert.convert(tiny.write(tmp_path / "m"), tmp_path / "c")
    (data,) = (tmp_path / "c").glob("sutra-embedding.*.data")
    cut(data)
    assert "ONNX Runtime cannot load the model" in refusal(tmp_path / "c")
    data.unlink()
    assert "ONNX Runtime cannot load the model" in refusal(tmp_path / "c")


def test_a_converted_file_of_another_folder(tmp_path: Path) -> None:
    convert.convert(tiny.write(tmp_path / "m"), tmp_path / "c")
    convert.convert(tiny.write(tmp_path / "n", sentence_bert_config={"max_seq_length": 9}), tmp_path / "d")
    (tmp_path / "d/sutra-embedding.onnx").rename(tmp_path / "c/sutra-embedding.onnx")
    assert "was not made from this folder by this version; make it again" in refusal(tmp_path / "c")


def test_convert_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert.main([str(tmp_path)]) == 2
    assert convert.main([str(tmp_path), str(tmp_path / "c")]) == 1
    assert "cannot convert:" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
    assert convert.main([str(tiny.write(tmp_path / "m")), str(tmp_path / "c")]) == 0
    assert load(tmp_path / "c", "onnx", 1).dimension == 64
