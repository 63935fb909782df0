"""The ONNX Runtime engine."""

import ctypes

from sutra_embedding import graph
from sutra_embedding.encoder import WARM_UP_TEXT, Batch, Vectors, finite, split
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import CONVERTED, ModelFolder, weights
from sutra_embedding.onnx_runtime import OnnxRuntimeError, Session
from sutra_embedding.tensors import Tensor, padded, rows
from sutra_embedding.tokens import Tokens


class OnnxEncoder:
    """A model, converted or not, in an ONNX Runtime session.

    `session` is public for the benchmark. Raises ModelError if the model cannot be loaded or does not work.
    """

    def __init__(self, folder: ModelFolder, threads: int, precision: str = "float32") -> None:
        self.name = folder.name
        self.dimension = folder.bert.hidden
        self.max_tokens = folder.max_tokens
        tokens = Tokens(folder)
        self.tokenize, self.measure = tokens.of, tokens.measure
        self.session = _session(folder, threads, precision)
        (trial,) = split(self.tokenize([WARM_UP_TEXT]))
        try:
            vectors = self.run(trial)
        except (OnnxRuntimeError, TypeError) as error:
            raise _cannot_load(folder, error) from None
        if not finite(vectors):
            raise ModelError(
                f"{folder.path}: the model returns NaN or infinity; its weights are damaged, copy them again"
            )
        _release_memory()

    def run(self, batch: Batch) -> Vectors:
        """Compute the vectors of a batch."""
        return rows(self.session.run(inputs([text.ids for text in batch.texts]), graph.OUTPUT))


def inputs(ids: list[list[int]]) -> dict[str, Tensor]:
    """The model's inputs for the ids of texts, longest first. The mask hides the padding."""
    width = len(ids[0])
    return {graph.IDS: padded(ids, width), graph.MASK: padded([[1] * len(tokens) for tokens in ids], width)}


def _session(folder: ModelFolder, threads: int, precision: str) -> Session:
    if folder.converted and precision != "float32":
        raise ModelError(f"{folder.path} is already converted; set MODEL_DIR to the original folder")
    try:
        if not folder.converted:
            return Session(graph.build(folder, *weights(folder), precision).proto, threads)
        converted = folder.path / CONVERTED
        session = Session(converted, threads)
    except OnnxRuntimeError as error:
        raise _cannot_load(folder, error) from None
    # The properties include the sizes of inputs and outputs.
    if any(session.property(name) != value for name, value in graph.properties(folder).items()):
        message = f"{converted} does not match its folder or this version"
        raise ModelError(f"{message}; run python -m sutra_embedding.convert again")
    return session


def _cannot_load(folder: ModelFolder, error: Exception) -> ModelError:
    return ModelError(f"{folder.path}: ONNX Runtime cannot load the model ({error}); copy the folder again")


def _release_memory() -> None:
    """Return memory freed after loading to the kernel: about a tenth of the service's memory. glibc only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
