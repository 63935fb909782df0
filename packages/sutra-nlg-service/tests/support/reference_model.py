"""The tiny Llama in numpy with float64, to verify both engines."""

from collections.abc import Sequence

import numpy as np

from support.tiny_checkpoint import Shape, weights

END_ID = 1


class ReferenceModel:
    """Computes all tokens in one pass, without a cache, to keep it simple."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._weights = {name: tensor.astype(np.float64) for name, tensor in weights(shape).items()}

    def lead(self, tokens: Sequence[int], said: Sequence[int], most: int) -> float:
        """The smallest margin of a token in `said`, generated after `tokens`, over the next best one; may be negative.

        If `said` has fewer than `most` tokens, it includes the margin of the end token after them.
        """
        chosen = [*said, END_ID][:most]
        logits = self.logits([*tokens, *said])[len(tokens) - 1 :][: len(chosen)]
        rows = np.arange(len(chosen))
        own = logits[rows, chosen]
        logits[rows, chosen] = -np.inf
        return float((own - logits.max(axis=-1)).min())

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """The logits of the next token after each of `tokens`."""
        states = self._weights["model.embed_tokens.weight"][list(tokens)]
        for layer in range(self._shape.layers):
            name = f"model.layers.{layer}"
            states = states + self._attention(name, self._norm(f"{name}.input_layernorm", states))
            states = states + self._feed_forward(name, self._norm(f"{name}.post_attention_layernorm", states))
        return self._linear("lm_head", self._norm("model.norm", states))

    def _linear(self, name: str, states: np.ndarray) -> np.ndarray:
        return states @ self._weights[f"{name}.weight"].T

    def _norm(self, name: str, states: np.ndarray) -> np.ndarray:
        mean = np.mean(states**2, axis=-1, keepdims=True)
        return states / np.sqrt(mean + self._shape.epsilon) * self._weights[f"{name}.weight"]

    def _feed_forward(self, name: str, states: np.ndarray) -> np.ndarray:
        gate = self._linear(f"{name}.mlp.gate_proj", states)
        return self._linear(
            f"{name}.mlp.down_proj", gate / (1 + np.exp(-gate)) * self._linear(f"{name}.mlp.up_proj", states)
        )

    def _attention(self, name: str, states: np.ndarray) -> np.ndarray:
        shape = self._shape
        count = len(states)
        queries = self._turned(self._linear(f"{name}.self_attn.q_proj", states), shape.heads)
        keys = self._turned(self._linear(f"{name}.self_attn.k_proj", states), shape.kv_heads)
        values = self._heads(self._linear(f"{name}.self_attn.v_proj", states), shape.kv_heads)
        group = shape.heads // shape.kv_heads
        keys, values = np.repeat(keys, group, axis=0), np.repeat(values, group, axis=0)
        scores = queries @ keys.swapaxes(1, 2) / np.sqrt(shape.head_width)
        scores = np.where(np.tri(count, dtype=bool), scores, -np.inf)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = scores / scores.sum(axis=-1, keepdims=True) @ values
        return self._linear(f"{name}.self_attn.o_proj", mixed.swapaxes(0, 1).reshape(count, -1))

    def _heads(self, states: np.ndarray, heads: int) -> np.ndarray:
        return states.reshape(len(states), heads, self._shape.head_width).swapaxes(0, 1)

    def _turned(self, states: np.ndarray, heads: int) -> np.ndarray:
        """Apply rotary position embeddings, split in halves as in transformers."""
        apart = self._heads(states, heads)
        half = self._shape.head_width // 2
        frequency = self._shape.rope_base ** (-np.arange(half) / half)
        angle = np.arange(len(states))[:, None] * frequency
        one, other = apart[..., :half], apart[..., half:]
        return np.concatenate(
            (one * np.cos(angle) - other * np.sin(angle), other * np.cos(angle) + one * np.sin(angle)), axis=-1
        )
