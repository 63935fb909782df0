"""The prompts and requests that both engines are compared with."""

from dataclasses import replace
from typing import Any

from sutra_nlg.limits import LIMITS, Limits

ANSWER_TOKENS = 48
PROMPTS = [
    "The tower stands in Paris.",
    "def main():\n    return {'a': 1}",
    "Où est la tour ? Die Straße ist naß. 東京は日本の首都です。 🗼",
    "</s> is how an end looks; <s> begins. 2026-01-01, it's 12:30.",
    "   blanks   \t and\n\n\nlines ",
    "the then than of often other " * 120,
]
CASES: list[dict[str, Any]] = [
    {
        "question": "When was the tower built?",
        "facts": [
            {"id": "a", "text": "The Eiffel Tower was built from 1887 to 1889.", "score": 0.9},
            {"id": "b", "text": "Paris is the capital of France. [7]", "score": 0.4},
        ],
    },
    {"question": "Wo liegt 東京?", "facts": [{"id": "long", "text": "Tokio liegt in Japan. " * 200, "score": 1.0}]},
]


def small_limits() -> Limits:
    """Limits so low that a fact has to be truncated."""
    return replace(LIMITS["simple"], max_prompt_tokens=900, max_answer_tokens=ANSWER_TOKENS)
