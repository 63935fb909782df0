"""Which texts are tokenized and computed together."""

# A batch is as wide as its longest text, so what counts is the product. 2048 tokens are about 0.2 s of two cores, which
# is how long another caller's short text may have to wait, and 70 MB of working memory; larger ones are not faster.
MAX_TOKENS = 2048
# Texts are tokenized in full before they are cut: so many characters take some 20 ms, and 50 where each is a token.
MAX_CHARACTERS = 65_536


def batches(lengths: list[int], max_tokens: int = MAX_TOKENS) -> list[list[int]]:
    """Indexes of texts in groups of like length: each with at most `max_tokens`, padding included.

    A text that is longer by itself is a group of its own.
    """
    groups: list[list[int]] = []
    widest = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if not groups or widest * (len(groups[-1]) + 1) > max_tokens:
            groups.append([])
            widest = lengths[index]
        groups[-1].append(index)
    return groups


def portions(texts: list[str], max_characters: int = MAX_CHARACTERS) -> list[list[str]]:
    """The texts in their order, in groups of at most `max_characters`.

    A text that is longer by itself is a group of its own.
    """
    groups: list[list[str]] = []
    characters = 0
    for text in texts:
        characters += len(text)
        if not groups or characters > max_characters:
            groups.append([])
            characters = len(text)
        groups[-1].append(text)
    return groups
