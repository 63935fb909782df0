"""Texts as token ids, cut to the model's length, without padding."""

from pathlib import Path

from tokenizers import Tokenizer

from sutra_embedding.encoder import Tokenized
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import TOKENIZER, ModelFolder


class Tokens:
    """A folder's tokenizer. Raises ModelError where it cannot be read or knows more tokens than the model."""

    def __init__(self, folder: ModelFolder) -> None:
        path = folder.path / TOKENIZER
        self._tokenizer = _load(path)
        size = self._tokenizer.get_vocab_size()
        if size > folder.bert.vocabulary:
            message = f"{path} has {size} tokens, the model {folder.bert.vocabulary}"
            raise ModelError(f"{message}; take both files from the same model")
        # The file's own lengths are those of an export, not the model's.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(folder.max_tokens)

    def of(self, texts: list[str]) -> list[Tokenized]:
        """The texts with their ids, at most the model's number."""
        # What is cut off is tokenized too and kept until this returns, hence few characters at a time: see batches.py.
        encodings = self._tokenizer.encode_batch_fast(texts)
        return [Tokenized(text, encoding.ids) for text, encoding in zip(texts, encodings, strict=True)]


def _load(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    # The library raises nothing more particular.
    except Exception as error:
        raise ModelError(f"{path} cannot be read ({error}); copy the file again") from None
