"""The ONNX Runtime engine."""

import ctypes

import numpy as np
import onnxruntime

from sutra_embedding import graph
from sutra_embedding.encoder import WARM_UP_TEXT, Batch, Vectors, split
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import CONVERTED, ModelFolder, weights
from sutra_embedding.tokens import Tokens

ERRORS_ONLY = 3


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
        if not np.isfinite(self.run(trial)).all():
            raise ModelError(
                f"{folder.path}: the model returns NaN or infinity; its weights are damaged, copy them again"
            )
        _release_memory()

    def run(self, batch: Batch) -> Vectors:
        """Compute the vectors of a batch."""
        ids = [text.ids for text in batch.texts]
        # The first text is the longest. The mask hides the padding.
        padded = np.zeros((len(ids), len(ids[0])), np.int64)
        mask = np.zeros_like(padded)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return self.session.run([graph.OUTPUT], {graph.IDS: padded, graph.MASK: mask})[0]


def _session(folder: ModelFolder, threads: int, precision: str) -> onnxruntime.InferenceSession:
    converted = folder.path / CONVERTED
    if folder.converted and precision != "float32":
        raise ModelError(f"{folder.path} is already converted; set MODEL_DIR to the original folder")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Batches run one at a time and vary in shape. Memory is not cached: an idle service would keep as much as the
    # largest batch ever needed.
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    options.log_severity_level = ERRORS_ONLY
    source = str(converted) if folder.converted else graph.build(folder, *weights(folder), precision).proto
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's error types have no other common base class.
    except Exception as error:
        raise ModelError(
            f"{folder.path}: ONNX Runtime cannot load the model ({error}); copy the folder again"
        ) from None
    _check(folder, session)
    return session


def _release_memory() -> None:
    """Return memory freed after loading to the kernel: about a tenth of the service's memory. glibc only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _check(folder: ModelFolder, session: onnxruntime.InferenceSession) -> None:
    """Raise ModelError if a converted file does not match the folder's configuration or this version."""
    facts = session.get_modelmeta().custom_metadata_map
    outputs = {output.name: output.shape for output in session.get_outputs()}
    if graph.properties(folder) != facts or outputs.get(graph.OUTPUT, [0])[-1] != folder.bert.hidden:
        message = f"{folder.path / CONVERTED} does not match its folder or this version"
        raise ModelError(f"{message}; run python -m sutra_embedding.convert again")
