"""Tokenizes texts, with truncation to the model's maximum length and without padding."""

from pathlib import Path

from tokenizers import Encoding, Tokenizer

from sutra_embedding.encoder import Tokenized
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import TOKENIZER, ModelFolder
from sutra_embedding.passages import Measured


class Tokens:
    """A folder's tokenizer. Raises ModelError if it cannot be read or has more tokens than the model."""

    def __init__(self, folder: ModelFolder) -> None:
        path = folder.path / TOKENIZER
        self._tokenizer = _load(path)
        size = self._tokenizer.get_vocab_size()
        if size > folder.bert.vocabulary:
            message = f"{path} has {size} tokens, but the model has {folder.bert.vocabulary}"
            raise ModelError(f"{message}; use both files from the same model")
        # The lengths in the file come from its export, not from the model.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(folder.max_tokens)

    def of(self, texts: list[str]) -> list[Tokenized]:
        """Tokenize texts."""
        # Truncated tokens also take time and memory here; batches.portions() limits the amount of text.
        encodings = self._tokenizer.encode_batch_fast(texts)
        return [Tokenized(text, encoding.ids) for text, encoding in zip(texts, encodings, strict=True)]

    def measure(self, text: str) -> Measured:
        """Find out how much of a text the model reads."""
        encoding = self._tokenizer.encode(text)
        further = encoding.overflowing
        return Measured(_starts(encoding), _starts(further[0])[0] if further else None)


def _starts(encoding: Encoding) -> list[int]:
    """Where the tokens start in the text, in code points, without the special tokens."""
    places = zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
    return [start for (start, _), special in places if not special]


def _load(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    # The library raises nothing more specific.
    except Exception as error:
        raise ModelError(f"cannot read {path}: {error}; copy the file again") from None
