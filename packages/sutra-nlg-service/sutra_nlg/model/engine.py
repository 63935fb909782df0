"""What a checkpoint is run with, whichever library that is."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from sutra_service.readiness import StartError

from sutra_nlg.model.chat import Part
from sutra_nlg.work import Stop


class Engine(Protocol):
    """A causal language model, ready to go on with a sequence of tokens."""

    name: str
    architecture: str
    # Tokens of a prompt and its answer together.
    context: int

    def tokenize(self, parts: Sequence[Part]) -> list[int]:
        """The tokens of a prompt, with what the model wants at its beginning."""
        ...

    def generate(self, tokens: Sequence[int], stop: Stop) -> Iterator[int]:
        """The most probable next token, again and again, until the model ends. Raises Stopped when `stop` asks."""
        ...

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say, without control tokens."""
        ...


def load(folder: Path, context: int, threads: int) -> Engine:
    """The checkpoint in `folder`, run with the library that this image has.

    `context`: how many tokens it will be used with at most; `threads` 0 means one for each processor.
    Raises StartError that says what is wrong with the folder.
    """
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise StartError(f"MODEL_DIR={folder} {state}; mount the folder of a checkpoint there, or unset MODEL_DIR")
    if importlib.util.find_spec("llama_cpp"):
        from sutra_nlg.model.llama_cpp_engine import LlamaCppEngine  # noqa: PLC0415 - one image has only one of the two

        return LlamaCppEngine(folder, context, threads)
    if importlib.util.find_spec("transformers"):
        from sutra_nlg.model.transformers_engine import TransformersEngine  # noqa: PLC0415

        return TransformersEngine(folder, context, threads)
    raise StartError("neither llama_cpp nor transformers is installed, so no model can run; use an image that has one")
