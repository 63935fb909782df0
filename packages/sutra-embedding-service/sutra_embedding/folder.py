"""A sentence-transformers folder: what it holds, and whether this service can use it.

Both engines start with this look, so both say the same about the same folder. It reads the
descriptions and the weights' header, not the weights, and needs neither numpy nor torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sutra_embedding.errors import ModelError
from sutra_embedding.safetensors import SafeTensors

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
# What `python -m sutra_embedding.convert` writes in place of the weights.
CONVERTED = "sutra-embedding.onnx"
MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class Bert:
    """The sizes of a BERT encoder, as config.json gives them."""

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
    """A folder that was looked at and found usable.

    `pooling` is mean or cls; `max_tokens` counts the special tokens too.
    """

    path: Path
    bert: Bert
    pooling: str
    normalize: bool
    max_tokens: int

    @property
    def name(self) -> str:
        """The model's name: the folder's."""
        return self.path.name

    @property
    def converted(self) -> bool:
        """Whether the folder holds a converted model instead of weights."""
        return (self.path / CONVERTED).is_file()


def inspect_folder(path: Path) -> ModelFolder:
    """Look at a folder. Raises ModelError that says what keeps it from being used."""
    if not path.is_dir():
        raise ModelError(f"MODEL_DIR={path} is not a folder here; mount the model's folder there")
    config = _read(path, "config.json")
    bert = _bert(path, config)
    pooling, normalize = _modules(path)
    length = _read(path, "sentence_bert_config.json", optional=True)
    if length.get("do_lower_case"):
        raise ModelError(f"{path}: do_lower_case is not understood; put the lower case into {TOKENIZER}'s normalizer")
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
        raise ModelError(f"{path} wants a prompt before each text, which this service does not add; use another model")
    return folder


def weights(folder: ModelFolder) -> tuple[SafeTensors, str]:
    """The folder's weights, complete and in the shapes of its description, and what stands before each name.

    Raises ModelError where they are not.
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
    """The tensors of a BERT encoder that an embedding needs, without the pooler, and their shapes."""
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
        raise ModelError(f"{file}: architecture {architecture!r} ({named}) is unknown here; use a model of type 'bert'")
    for key, wanted in (("hidden_act", "gelu"), ("position_embedding_type", "absolute"), ("is_decoder", False)):
        if config.get(key, wanted) != wanted:
            raise ModelError(f"{file}: {key} is {config[key]!r}, and only {wanted!r} is understood; use another model")

    def size(key: str) -> int:
        value = config.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"{file}: {key} is {value!r} and has to be a whole number above 0; copy the file again")
        return value

    epsilon = config.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise ModelError(f"{file}: layer_norm_eps is {epsilon!r} and has to lie between 0 and 1; copy the file again")
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
        raise ModelError(f"{file}: hidden_size {bert.hidden} is no multiple of num_attention_heads {bert.heads}")
    return bert


def _modules(path: Path) -> tuple[str, bool]:
    """The folder of the pooling, and whether vectors are normalized."""
    file = path / "modules.json"
    modules = _read(path, "modules.json", kind=list)
    try:
        # Their full names differ between versions of sentence-transformers.
        kinds = tuple(str(module["type"]).rpartition(".")[2] for module in modules)
        paths = [str(module["path"]) for module in modules]
    except (TypeError, KeyError):
        raise ModelError(f"{file} is damaged: a module has no type or no path; copy the file again") from None
    if kinds not in (MODULES[:2], MODULES):
        raise ModelError(f"{file}: modules {', '.join(kinds)} are not understood; only {', '.join(MODULES)} are")
    if paths[0] not in ("", "."):
        raise ModelError(f"{file}: the Transformer lies in {paths[0]!r}; move its files to the folder itself")
    return paths[1], len(kinds) == len(MODULES)


def _pooling(path: Path, config: dict[str, Any], bert: Bert) -> str:
    # A newer form names the mode, the older has a switch for each.
    modes = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "mean": "mean", "cls": "cls"}
    named = config.get("pooling_mode")
    on = [named] if named else [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
    chosen = [modes.get(str(key), "") for key in on]
    if len(chosen) != 1 or not chosen[0]:
        raise ModelError(f"{path}: pooling {on} is not understood; only the mean or the first token alone is")
    dimension = config.get("word_embedding_dimension", config.get("embedding_dimension", bert.hidden))
    if dimension != bert.hidden:
        raise ModelError(f"{path}: the pooling is for {dimension} numbers, config.json has {bert.hidden}")
    return chosen[0]


def _max_tokens(path: Path, given: Any, bert: Bert) -> int:
    if given is None:
        longest = _read(path, "tokenizer_config.json", optional=True).get("model_max_length", bert.positions)
        # Where there is none, this is a number of thirty digits.
        if not isinstance(longest, (int, float)):
            file = path / "tokenizer_config.json"
            raise ModelError(f"{file}: model_max_length is {longest!r} and has to be a number; copy the file again")
        given = min(longest, bert.positions)
    if not isinstance(given, int) or not 3 <= given <= bert.positions:  # noqa: PLR2004 - a token and the two around it
        raise ModelError(f"{path}: max_seq_length is {given!r} and has to lie between 3 and {bert.positions}")
    return given


def _read(path: Path, name: str, *, kind: type = dict, optional: bool = False) -> Any:
    file = path / name
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if optional:
            return kind()
        raise ModelError(f"{path} has no {name}; mount a whole sentence-transformers folder") from None
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}; mount the folder readable by all") from None
    # Brackets within brackets, thousands of them, end in the second.
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not JSON ({error}); copy the file again") from None
    if not isinstance(content, kind):
        raise ModelError(f"{file} is not what it should be: its JSON is a {type(content).__name__}; copy it again")
    return content
