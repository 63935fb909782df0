"""The model on sentence-transformers and torch."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from sutra_embedding.encoder import TRIAL, Batch, split
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import ModelFolder, weights
from sutra_embedding.tokens import Tokens

if TYPE_CHECKING:
    from sutra_embedding.encoder import Vectors


class TorchEncoder:
    """A folder's model as sentence-transformers loads it.

    Raises ModelError where the model cannot be loaded or gives no numbers.
    """

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        self.name = folder.name
        self.dimension = folder.bert.hidden
        # Looked at first: the library fills what is missing with random numbers and only warns.
        weights(folder)
        self.tokenize = Tokens(folder).of
        torch.set_num_threads(threads)
        try:
            self._model = SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)
        # Whatever the libraries below it raise.
        except Exception as error:
            message = f"{folder.path}: sentence-transformers cannot load the model ({error})"
            raise ModelError(f"{message}; copy the folder again") from None
        (trial,) = split(self.tokenize([TRIAL]))
        if not np.isfinite(self.run(trial)).all():
            raise ModelError(f"{folder.path}: the model gives no numbers; its weights are damaged, copy them again")

    def run(self, batch: Batch) -> "Vectors":
        """The vectors of a batch."""
        # The library tokenizes on its own; it would make batches of its own size too.
        texts = [text.text for text in batch.texts]
        return self._model.encode(texts, batch_size=len(texts), show_progress_bar=False)
