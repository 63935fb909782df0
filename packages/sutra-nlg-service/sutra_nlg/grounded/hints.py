"""Detects what kind of thing a question asks for, and whether a sentence contains one."""

import re
from collections.abc import Callable

from sutra_nlg.grounded.words import WORD

WHEN = """when wann quand cuando cuándo quando wanneer когда कब متى"""
HOW_MANY = """how many|how much|how old|how far|how long|how tall|how high|wie viel|wie viele|wieviel|wie alt|wie hoch
    |wie lange|combien|cuánto|cuánta|cuántos|cuántas|cuanto|cuantos|quanto|quanti|quantos|hoeveel|сколько|कितने|كم"""
WHO = """who whom whose wer wem wen wessen qui quién quien quiénes chi quem wie кто कौन من"""
WHY = """why warum wieso weshalb pourquoi perché perche waarom почему क्यों لماذا"""
# In scripts without spaces, these are found anywhere in the question.
SPACELESS = {
    "when": ("什么时候", "何时", "哪年", "いつ", "何年", "언제"),
    "how_many": ("多少", "几", "いくつ", "몇", "얼마"),
    "who": ("谁", "誰", "누구"),
    "why": ("为什么", "為什麼", "なぜ", "왜"),
}
BECAUSE = re.compile(
    r"\b(?:because|since|due to|so that|therefore|weil|denn|wegen|damit|deshalb|parce qu|car|afin|grâce|porque|debido|"
    r"perché|poiché|pois|omdat|doordat|потому|так как|поэтому)\b|因为|因為|所以|ので|から|ため|때문",
    re.IGNORECASE,
)
DIGIT = re.compile(r"\d|[一二三四五六七八九十百千万]")
YEAR_OR_DAY = re.compile(r"\d{3,4}|\d{1,2}[:./]\d{1,2}|\d{1,2}\.? ?[^\W\d_]{3}|[^\W\d_]{3} \d{1,2}|\d+ ?[年月日년월일]")


def hint_of(question: str) -> Callable[[str], bool]:
    """A test whether a sentence contains the kind of thing that `question` asks for; false for all if unclear."""
    text = " ".join(match[0].casefold() for match in WORD.finditer(question))
    kind = _kind(f" {text} ", question)
    if kind == "when":
        return lambda sentence: YEAR_OR_DAY.search(sentence) is not None
    if kind == "how_many":
        return lambda sentence: DIGIT.search(sentence) is not None
    if kind == "why":
        return lambda sentence: BECAUSE.search(sentence) is not None
    if kind == "who":
        asked = set(text.split())
        return lambda sentence: _has_new_name(sentence, asked)
    return lambda _sentence: False


def _kind(spaced: str, question: str) -> str:
    for kind, phrases in SPACELESS.items():
        if any(phrase in question for phrase in phrases):
            return kind
    if any(f" {phrase.strip()} " in spaced for phrase in HOW_MANY.split("|")):
        return "how_many"
    for kind, words in (("when", WHEN), ("who", WHO), ("why", WHY)):
        if any(f" {word} " in spaced for word in words.split()):
            return kind
    return ""


def _has_new_name(sentence: str, asked: set[str]) -> bool:
    """Whether a sentence contains a name that the question lacks: a capitalised word other than the first one."""
    names = [
        match[0] for match in WORD.finditer(sentence) if match[0][0].isupper() and match[0].casefold() not in asked
    ]
    first = WORD.search(sentence)
    inside = names[1:] if first and names and names[0] == first[0] else names
    return bool(inside) or len(names) > 1
