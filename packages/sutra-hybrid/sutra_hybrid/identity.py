"""The name of a concept, which follows from its text alone."""

import hashlib
import unicodedata

# 128 of SHA-256's 256 bits: two of a billion texts share an id with a chance of 1 in 10^21.
ID_CHARACTERS = 32


def identify(text: str) -> str:
    """The id of a text: 32 hexadecimal digits.

    Texts that differ only in white space or in how Unicode composes a letter are one concept.
    Case and punctuation count: they can change what a text says.
    """
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(normal.encode()).hexdigest()[:ID_CHARACTERS]
