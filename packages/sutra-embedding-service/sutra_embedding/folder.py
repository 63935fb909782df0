"""Reads and validates sentence-transformers folders.

Both engines use this, so that they accept the same folders and report the same errors. It reads the
configuration and the weights' header, not the weights, and needs neither numpy nor torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sutra_embedding.errors import ModelError
from sutra_embedding.safetensors import SafeTensors

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
# Written by `python -m sutra_embedding.convert` instead of the weights.
CONVERTED = "sutra-embedding.onnx"
MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class Bert:
    """The dimensions of a BERT encoder, from config.json."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float


@dataclass(frozen=True)
class ModelFolder:
    """A valid model folder.

    `pooling` is "mean" or "cls"; `max_tokens` includes the special tokens.
    """

    path: Path
    bert: Bert
    pooling: str
    normalize: bool
    max_tokens: int

    @property
    def name(self) -> str:
        """The model's name, which is the folder's."""
        return self.path.name

    @property
    def converted(self) -> bool:
        """Whether the folder contains a converted model instead of weights."""
        return (self.path / CONVERTED).is_file()


def inspect_folder(path: Path) -> ModelFolder:
    """Read and validate the configuration in a folder. Raises ModelError if the folder cannot be used."""
    if not path.is_dir():
        raise ModelError(f"model folder not found: MODEL_DIR={path}; mount the folder or correct MODEL_DIR")
    config = _read(path, "config.json")
    bert = _bert(path, config)
    pooling, normalize = _modules(path)
    length = _read(path, "sentence_bert_config.json", optional=True)
    if length.get("do_lower_case"):
        raise ModelError(f"{path}: do_lower_case is not supported; set lowercase in {TOKENIZER}'s normalizer instead")
    folder = ModelFolder(
        path=path,
        bert=bert,
        pooling=_pooling(path, _read(path, f"{pooling}/config.json"), bert),
        normalize=normalize,
        max_tokens=_max_tokens(path, length.get("max_seq_length"), bert),
    )
    if not (path / TOKENIZER).is_file():
        raise ModelError(f"{path} has no {TOKENIZER}; save the model with its fast tokenizer")
    if _read(path, "config_sentence_transformers.json", optional=True).get("default_prompt_name"):
        raise ModelError(f"{path}: default prompts are not supported; use a model without one")
    return folder


def weights(folder: ModelFolder) -> tuple[SafeTensors, str]:
    """Open the folder's weights; returns them with the prefix of their names.

    Raises ModelError if a tensor is missing or does not match the configuration.
    """
    path = folder.path / WEIGHTS
    if not path.is_file():
        raise ModelError(f"{folder.path} has no {WEIGHTS}; save the model with safe_serialization=True, in one file")
    tensors = SafeTensors(path)
    prefix = "bert." if any(name.startswith("bert.") for name in tensors.entries) else ""
    for name, shape in shapes(folder.bert).items():
        tensors.require(prefix + name, shape)
    return tensors, prefix


def shapes(bert: Bert) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the tensors of a BERT encoder, without the pooler, which embeddings do not need."""
    hidden, intermediate = bert.hidden, bert.intermediate
    wanted: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (bert.vocabulary, hidden),
        "embeddings.position_embeddings.weight": (bert.positions, hidden),
        "embeddings.token_type_embeddings.weight": (bert.token_types, hidden),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{index}" for index in range(bert.layers)):
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            wanted |= {f"{layer}.{name}.weight": (hidden, hidden), f"{layer}.{name}.bias": (hidden,)}
        inner, outer = f"{layer}.intermediate.dense", f"{layer}.output.dense"
        wanted |= {f"{inner}.weight": (intermediate, hidden), f"{inner}.bias": (intermediate,)}
        wanted |= {f"{outer}.weight": (hidden, intermediate), f"{outer}.bias": (hidden,)}
    for name in norms:
        wanted |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return wanted


def _bert(path: Path, config: dict[str, Any]) -> Bert:
    file = path / "config.json"
    architecture = config.get("model_type")
    if architecture != "bert":
        named = config.get("architectures") or "unnamed"
        named = ", ".join(map(str, named)) if isinstance(named, list) else str(named)
        raise ModelError(f"{file}: unsupported architecture: {architecture!r} ({named}); use a model of type 'bert'")
    for key, wanted in (("hidden_act", "gelu"), ("position_embedding_type", "absolute"), ("is_decoder", False)):
        if config.get(key, wanted) != wanted:
            raise ModelError(f"{file}: unsupported {key}: {config[key]!r}; use a model with {wanted!r}")

    def size(key: str) -> int:
        value = config.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"{file}: {key} is {value!r}, but must be a whole number above 0; copy the file again")
        return value

    epsilon = config.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise ModelError(f"{file}: layer_norm_eps is {epsilon!r}, but must be between 0 and 1; copy the file again")
    bert = Bert(
        layers=size("num_hidden_layers"),
        hidden=size("hidden_size"),
        heads=size("num_attention_heads"),
        intermediate=size("intermediate_size"),
        vocabulary=size("vocab_size"),
        positions=size("max_position_embeddings"),
        token_types=size("type_vocab_size"),
        epsilon=epsilon,
    )
    if bert.hidden % bert.heads:
        raise ModelError(f"{file}: hidden_size {bert.hidden} is not a multiple of num_attention_heads {bert.heads}")
    return bert


def _modules(path: Path) -> tuple[str, bool]:
    """The folder of the pooling module, and whether vectors are normalized."""
    file = path / "modules.json"
    modules = _read(path, "modules.json", kind=list)
    try:
        # The module paths differ between versions of sentence-transformers.
        kinds = tuple(str(module["type"]).rpartition(".")[2] for module in modules)
        paths = [str(module["path"]) for module in modules]
    except (TypeError, KeyError):
        raise ModelError(f"{file} is damaged: a module has no type or path; copy the file again") from None
    if kinds not in (MODULES[:2], MODULES):
        raise ModelError(f"{file}: unsupported modules: {', '.join(kinds)}; use a model with {', '.join(MODULES)}")
    if paths[0] not in ("", "."):
        raise ModelError(
            f"{file}: the Transformer is in the subfolder {paths[0]!r}; move its files to the model folder"
        )
    return paths[1], len(kinds) == len(MODULES)


def _pooling(path: Path, config: dict[str, Any], bert: Bert) -> str:
    # Newer files name the mode, older ones have a flag for each mode.
    modes = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "mean": "mean", "cls": "cls"}
    named = config.get("pooling_mode")
    on = [named] if named else [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
    chosen = [modes.get(str(key), "") for key in on]
    if len(chosen) != 1 or not chosen[0]:
        raise ModelError(f"{path}: unsupported pooling: {on}; use a model with mean or first-token pooling")
    dimension = config.get("word_embedding_dimension", config.get("embedding_dimension", bert.hidden))
    if dimension != bert.hidden:
        raise ModelError(f"{path}: the pooling has dimension {dimension}, but config.json has {bert.hidden}")
    return chosen[0]


def _max_tokens(path: Path, given: Any, bert: Bert) -> int:
    if given is None:
        longest = _read(path, "tokenizer_config.json", optional=True).get("model_max_length", bert.positions)
        # sentence-transformers writes 10**30 for "no limit".
        if not isinstance(longest, (int, float)):
            file = path / "tokenizer_config.json"
            raise ModelError(f"{file}: model_max_length is {longest!r}, but must be a number; copy the file again")
        given = min(longest, bert.positions)
    if not isinstance(given, int) or not 3 <= given <= bert.positions:  # noqa: PLR2004 - one token and two special ones
        raise ModelError(f"{path}: max_seq_length is {given!r}, but must be between 3 and {bert.positions}")
    return given


def _read(path: Path, name: str, *, kind: type = dict, optional: bool = False) -> Any:
    file = path / name
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if optional:
            return kind()
        raise ModelError(f"{path} has no {name}; mount a complete sentence-transformers folder") from None
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}; make the folder readable by everyone") from None
    # RecursionError: brackets nested thousands of levels deep.
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not valid JSON: {error}; copy the file again") from None
    if not isinstance(content, kind):
        found = type(content).__name__
        raise ModelError(f"{file}: unexpected JSON type: {found} instead of {kind.__name__}; copy the file again")
    return content
