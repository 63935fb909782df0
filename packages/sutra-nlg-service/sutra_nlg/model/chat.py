"""How a model wants to be spoken to: its own markers around what it is told."""

from typing import NamedTuple


class Part(NamedTuple):
    """A part of a prompt. Only where `control` is set may it become control tokens: a fact cannot speak as a turn."""

    text: str
    control: bool = False


# What stands before and after the prompt. `plain` suits a base model; the markers are those the models' makers publish.
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
    """`text` as the turn of somebody who asks, with the model's turn begun."""
    before, after = FORMATS[chat_format]
    parts = [Part(before, True), Part(text), Part(after, True)]
    return [part for part in parts if part.text]
