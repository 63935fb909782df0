"""The model on ONNX Runtime."""

import ctypes
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from sutra_embedding import graph
from sutra_embedding.encoder import TRIAL, Batch, split
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import CONVERTED, ModelFolder, weights
from sutra_embedding.tokens import Tokens

if TYPE_CHECKING:
    from sutra_embedding.encoder import Vectors

ERRORS_ONLY = 3


class OnnxEncoder:
    """A folder's model, converted or not, in a session of ONNX Runtime.

    `session` is for the benchmark. Raises ModelError where the model cannot be loaded or gives no numbers.
    """

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        self.name = folder.name
        self.dimension = folder.bert.hidden
        self.tokenize = Tokens(folder).of
        self.session = _session(folder, threads)
        (trial,) = split(self.tokenize([TRIAL]))
        if not np.isfinite(self.run(trial)).all():
            raise ModelError(f"{folder.path}: the model gives no numbers; its weights are damaged, copy them again")
        _give_back()

    def run(self, batch: Batch) -> "Vectors":
        """The vectors of a batch."""
        ids = [text.ids for text in batch.texts]
        # The first is the longest. What stands behind a shorter one is hidden by the mask.
        padded = np.zeros((len(ids), len(ids[0])), np.int64)
        mask = np.zeros_like(padded)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return self.session.run([graph.OUTPUT], {graph.IDS: padded, graph.MASK: mask})[0]


def _session(folder: ModelFolder, threads: int) -> onnxruntime.InferenceSession:
    converted = folder.path / CONVERTED
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # One batch at a time, of ever different shape: memory is not kept for the next, or the largest batch that ever came
    # would decide what an idle service holds.
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    options.log_severity_level = ERRORS_ONLY
    source = str(converted) if folder.converted else graph.build(folder, *weights(folder), compact=False).proto
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime has a dozen error types without a common one but this.
    except Exception as error:
        raise ModelError(
            f"{folder.path}: ONNX Runtime cannot load the model ({error}); copy the folder again"
        ) from None
    _check(folder, session)
    return session


def _give_back() -> None:
    """Return to the kernel what loading took and freed: each weight was there in two forms more. A tenth of what the
    service would hold. Only glibc keeps so much, and only it has the function."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _check(folder: ModelFolder, session: onnxruntime.InferenceSession) -> None:
    """Whether a converted file is ours and belongs to the descriptions beside it."""
    facts = session.get_modelmeta().custom_metadata_map
    outputs = {output.name: output.shape for output in session.get_outputs()}
    if graph.properties(folder) != facts or outputs.get(graph.OUTPUT, [0])[-1] != folder.bert.hidden:
        message = f"{folder.path / CONVERTED} was not made from this folder by this version"
        raise ModelError(f"{message}; make it again: python -m sutra_embedding.convert")
