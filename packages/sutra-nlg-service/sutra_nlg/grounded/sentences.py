"""Splits a text into sentences, without changing them."""

import re

# Longer sentences are cut at punctuation or whitespace, because quoting a whole page is not an answer.
MAX_CHARACTERS = 400

# The lookbehind avoids quadratic time on long runs of full stops.
END = re.compile(
    r"""(?<![.!?…؟۔।॥])(?P<stop>[.!?…؟۔।॥]++)["'”’»)\]]*+(?=\s|$)"""
    r"""|(?<![。！？｡])[。！？｡]++[」』”’）)\]]*+"""
    r"""|[\n\r\u2028\u2029]++"""
)
BREAK = re.compile(r"[;,:、，；：](?=\s)|[、，；：]|\s")
ABBREVIATED = """
    approx bzw ca cf co corp dr ed eg etc evtl fig gen ggf hr ie inc jr ltd mme mr mrs ms mt nr op p pp prof rev sr sra
    st str tel univ usw vgl vol vs zb г гг др им пр см стр т тыс ул
"""
ABBREVIATIONS = frozenset(ABBREVIATED.split())
BEFORE = re.compile(r"(\w*)$")
NEXT = re.compile(r"\s*(\w{0,3})")
# The first three letters of words that follow an ordinal such as `3.`: months, and `Jahrhundert`.
DAYS_OF = "jan feb mär mar apr mai maj jun jul aug sep okt oct nov dez dec jah"
AFTER_A_DAY = frozenset(DAYS_OF.split())


def sentences(text: str) -> list[str]:
    """The sentences of `text`, in order, without surrounding whitespace."""
    found = []
    start = 0
    for match in END.finditer(text):
        if match["stop"] == "." and _is_not_an_end(text, match):
            continue
        found.extend(_pieces(text[start : match.end()]))
        start = match.end()
    found.extend(_pieces(text[start:]))
    return found


def is_question(sentence: str) -> bool:
    """Whether a sentence is a question."""
    return sentence.rstrip("\"'”’»)]」』 ").endswith(("?", "？", "؟"))


def _is_not_an_end(text: str, match: re.Match[str]) -> bool:
    """Whether a full stop belongs to an abbreviation, an initial or an ordinal number."""
    following = NEXT.match(text, match.end())
    assert following is not None  # noqa: S101 - it matches the empty string
    if following[1][:1].islower():
        return True
    stop = match.start("stop")
    before = BEFORE.search(text[max(0, stop - 8) : stop])
    word = before[1] if before else ""
    if word.isdigit():
        return following[1].lower() in AFTER_A_DAY
    return (len(word) == 1 and word.isalpha()) or word.lower() in ABBREVIATIONS


def _pieces(part: str) -> list[str]:
    part = part.strip()
    found = []
    while len(part) > MAX_CHARACTERS:
        cut = 0
        for match in BREAK.finditer(part, MAX_CHARACTERS // 2, MAX_CHARACTERS):
            cut = match.end()
        cut = cut or MAX_CHARACTERS
        found.append(part[:cut].strip())
        part = part[cut:].strip()
    if part:
        found.append(part)
    return found
