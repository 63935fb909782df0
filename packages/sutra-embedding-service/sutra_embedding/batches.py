"""Groups texts that are tokenized or computed together."""

# Counts padding: every text of a batch is padded to the longest. 2048 tokens take about 0.2 s on two cores, the time
# that another request may have to wait, and 70 MB of memory. Larger batches are not faster.
MAX_TOKENS = 2048
# Texts are tokenized completely before they are truncated. This takes about 20 ms; 50 ms if every character is a token.
MAX_CHARACTERS = 65_536


def batches(lengths: list[int], max_tokens: int = MAX_TOKENS) -> list[list[int]]:
    """Group text indexes by similar length, each group with at most `max_tokens` including padding.

    A longer text forms a group of its own.
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
    """Group texts, in order, with at most `max_characters` per group.

    A longer text forms a group of its own.
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
