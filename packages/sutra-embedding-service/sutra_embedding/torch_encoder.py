"""The sentence-transformers engine, on torch."""

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from sutra_embedding.encoder import DECIMALS, WARM_UP_TEXT, Batch, Vectors, finite, split
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import ModelFolder, weights
from sutra_embedding.tokens import Tokens


class TorchEncoder:
    """A model loaded by sentence-transformers.

    Raises ModelError if the model cannot be loaded or does not work.
    """

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        self.name = folder.name
        self.dimension = folder.bert.hidden
        # Validate first: the library only warns about missing tensors and fills them with random numbers.
        weights(folder)
        self.max_tokens = folder.max_tokens
        tokens = Tokens(folder)
        self.tokenize, self.measure = tokens.of, tokens.measure
        torch.set_num_threads(threads)
        try:
            self._model = SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)
        # The library and its dependencies may raise anything.
        except Exception as error:
            message = f"{folder.path}: sentence-transformers cannot load the model ({error})"
            raise ModelError(f"{message}; copy the folder again") from None
        (trial,) = split(self.tokenize([WARM_UP_TEXT]))
        if not finite(self.run(trial)):
            raise ModelError(
                f"{folder.path}: the model returns NaN or infinity; its weights are damaged, copy them again"
            )

    def run(self, batch: Batch) -> Vectors:
        """Compute the vectors of a batch."""
        # The library tokenizes again; batch_size keeps it from splitting the batch.
        texts = [text.text for text in batch.texts]
        vectors = self._model.encode(texts, batch_size=len(texts), show_progress_bar=False)
        return np.round(vectors.astype(np.float64), DECIMALS).tolist()
