"""The model on sentence-transformers and torch."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from sutra_embedding.encoder import TRIAL, Batch
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import ModelFolder, weights
from sutra_embedding.tokens import Tokens

if TYPE_CHECKING:
    from sutra_embedding.encoder import Vectors

BATCH_TEXTS = 16


class TorchEncoder:
    """A folder's model as sentence-transformers loads it.

    Raises ModelError where the model cannot be loaded or gives no numbers.
    """

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        self.name = folder.name
        self.dimension = folder.bert.hidden
        # Looked at first: the library fills what is missing with random numbers and only warns.
        weights(folder)
        Tokens(folder)
        torch.set_num_threads(threads)
        try:
            self._model = SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)
        # Whatever the libraries below it raise.
        except Exception as error:
            message = f"{folder.path}: sentence-transformers cannot load the model ({error})"
            raise ModelError(f"{message}; copy the folder again") from None
        if not np.isfinite(self.run(Batch([0], [TRIAL]))).all():
            raise ModelError(f"{folder.path}: the model gives no numbers; its weights are damaged, copy them again")

    def split(self, texts: list[str]) -> list[Batch]:
        """The texts in batches of like length."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        groups = [order[start : start + BATCH_TEXTS] for start in range(0, len(order), BATCH_TEXTS)]
        return [Batch(indexes, [texts[index] for index in indexes]) for indexes in groups]

    def run(self, batch: Batch) -> "Vectors":
        """The vectors of a batch."""
        return self._model.encode(batch.inputs, batch_size=BATCH_TEXTS, show_progress_bar=False)
