"""The prompt formats of chat models."""

from typing import NamedTuple


class Part(NamedTuple):
    """A part of a prompt. Only parts with `control` can contain control tokens, so that a fact cannot forge a turn."""

    text: str
    control: bool = False


# The text before and after the prompt, as published by each model's authors. `plain` is for base models.
FORMATS = {
    "plain": ("", ""),
    "chatml": ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "llama3": (
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "gemma": ("<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"),
}


def wrap(text: str, chat_format: str) -> list[Part]:
    """Wrap `text` as the user's turn, followed by the start of the model's turn."""
    before, after = FORMATS[chat_format]
    parts = [Part(before, True), Part(text), Part(after, True)]
    return [part for part in parts if part.text]
