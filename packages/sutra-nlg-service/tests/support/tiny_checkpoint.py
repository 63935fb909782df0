"""A tiny Llama with fixed random weights, as safetensors for transformers and as GGUF for llama.cpp."""

import hashlib
import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

SEED = 20260101
MERGES = ["t h", "th e", "Ġ t", "i n", "a n", "e r", "o n", "r e", "Ġ the", "s t", "Ġ a", "Ġ i", "e n", "o f", "Ġ of"]
BEGIN, END = "<s>", "</s>"


@dataclass(frozen=True)
class Shape:
    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 128
    context: int = 2_560
    epsilon: float = 1e-5
    rope_base: float = 10_000.0

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def byte_letters() -> list[str]:
    """The letter that GPT-2's byte-level BPE uses for each byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        letters.setdefault(byte, chr(256 + len(letters) - len(plain)))
    return [letters[byte] for byte in range(256)]


def vocabulary() -> list[str]:
    return [BEGIN, END, *byte_letters(), *(merge.replace(" ", "") for merge in MERGES)]


class Numbers:
    """Random numbers by splitmix64. numpy does not guarantee that its own stay the same between versions."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def uniform(self, *shape: int, spread: float) -> np.ndarray:
        """Numbers with mean 0 and standard deviation `spread`."""
        count = int(np.prod(shape))
        step = np.uint64(0x9E3779B97F4A7C15)
        with np.errstate(over="ignore"):
            z = np.uint64(self._state) + step * np.arange(1, count + 1, dtype=np.uint64)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        self._state = (self._state + int(step) * count) % 2**64
        unit = (z >> np.uint64(11)).astype(np.float64) / 2**53
        return ((unit * 2 - 1) * np.sqrt(3) * spread).astype(np.float32).reshape(shape)


def weights(shape: Shape) -> dict[str, np.ndarray]:
    """All tensors, by their names in transformers."""
    numbers = Numbers(SEED)
    width, kv_width = shape.width, shape.kv_heads * shape.head_width

    def matrix(rows: int, columns: int) -> np.ndarray:
        return numbers.uniform(rows, columns, spread=1.5 / np.sqrt(columns))

    def norm() -> np.ndarray:
        return 1 + numbers.uniform(width, spread=0.1)

    count = len(vocabulary())
    tensors = {"model.embed_tokens.weight": numbers.uniform(count, width, spread=1.0)}
    for layer in range(shape.layers):
        name = f"model.layers.{layer}"
        tensors |= {
            f"{name}.input_layernorm.weight": norm(),
            f"{name}.self_attn.q_proj.weight": matrix(width, width),
            f"{name}.self_attn.k_proj.weight": matrix(kv_width, width),
            f"{name}.self_attn.v_proj.weight": matrix(kv_width, width),
            f"{name}.self_attn.o_proj.weight": matrix(width, width),
            f"{name}.post_attention_layernorm.weight": norm(),
            f"{name}.mlp.gate_proj.weight": matrix(shape.feed_forward, width),
            f"{name}.mlp.up_proj.weight": matrix(shape.feed_forward, width),
            f"{name}.mlp.down_proj.weight": matrix(width, shape.feed_forward),
        }
    return tensors | {"model.norm.weight": norm(), "lm_head.weight": matrix(count, width)}


def digest(tensors: dict[str, np.ndarray]) -> str:
    """A hash of the weights, to detect an outdated recording."""
    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        whole.update(name.encode() + tensor.astype("<f4").tobytes())
    return whole.hexdigest()


def write_safetensors(folder: Path, shape: Shape = Shape()) -> None:
    """Write transformers' format: configuration, tokenizer and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    header: dict[str, object] = {}
    data = b""
    for name, tensor in weights(shape).items():
        piece = tensor.astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(piece)],
        }
        data += piece
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    for name, content in (
        ("config", _config(shape)),
        ("tokenizer", _tokenizer()),
        ("tokenizer_config", TOKENIZER_CONFIG),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _config(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(vocabulary()),
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.rope_base,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "dtype": "float32",
    }


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": BEGIN,
    "eos_token": END,
    "clean_up_tokenization_spaces": False,
}


def _tokenizer() -> dict[str, object]:
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    begin = {"SpecialToken": {"id": BEGIN, "type_id": 0}}
    return {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": text, **special} for number, text in enumerate((BEGIN, END))],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {BEGIN: {"id": BEGIN, "ids": [0], "tokens": [BEGIN]}},
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {token: number for number, token in enumerate(vocabulary())},
            "merges": [merge.split() for merge in MERGES],
        },
    }


def write_gguf(file: Path, shape: Shape = Shape(), architecture: str = "llama") -> None:
    """Write llama.cpp's format: everything in one file."""
    import gguf  # noqa: PLC0415 - not installed where the reference is recorded

    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(len(vocabulary()))
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary())
    kinds = [gguf.TokenType.CONTROL if token in {BEGIN, END} else gguf.TokenType.NORMAL for token in vocabulary()]
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    for name, tensor in weights(shape).items():
        writer.add_tensor(_gguf_name(name), _gguf_order(name, tensor, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def _gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if not stem.startswith("model.layers."):
        return f"{GGUF_NAMES[stem]}.weight"
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{GGUF_NAMES[part]}.weight"


def _gguf_order(name: str, tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """Reorder for rotary embeddings: llama.cpp rotates adjacent pairs, transformers pairs half a head apart."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return tensor
    heads = tensor.shape[0] // shape.head_width
    halves = tensor.reshape(heads, 2, shape.head_width // 2, tensor.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))


SMALL = replace(Shape(), context=256)
