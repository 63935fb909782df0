"""The interface of engines, which run a checkpoint, and the choice of one."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from sutra_service.readiness import StartError

from sutra_nlg.model.chat import Part
from sutra_nlg.work import Stop


class Engine(Protocol):
    """A loaded causal language model."""

    name: str
    architecture: str
    # Maximum number of tokens of a prompt and its answer together.
    context: int

    def tokenize(self, parts: Sequence[Part]) -> list[int]:
        """Tokenize a prompt, with the model's start token if it has one."""
        ...

    def generate(self, tokens: Sequence[int], stop: Stop) -> Iterator[int]:
        """Yield the most probable next token until the model ends. Raises Stopped if `stop` requests it."""
        ...

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without control tokens."""
        ...


def load(folder: Path, context: int, threads: int) -> Engine:
    """Load the checkpoint in `folder` with the library that this image contains.

    `context` is the maximum number of tokens to use; `threads` 0 means one per processor. Raises StartError
    if the folder cannot be used.
    """
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise StartError(f"MODEL_DIR={folder} {state}; mount a model folder there or unset MODEL_DIR")
    if importlib.util.find_spec("llama_cpp"):
        from sutra_nlg.model.llama_cpp_engine import LlamaCppEngine  # noqa: PLC0415 - each image has only one of the two

        return LlamaCppEngine(folder, context, threads)
    if importlib.util.find_spec("transformers"):
        from sutra_nlg.model.transformers_engine import TransformersEngine  # noqa: PLC0415

        return TransformersEngine(folder, context, threads)
    raise StartError("no engine: neither llama_cpp nor transformers is installed; use an image with one of them")
