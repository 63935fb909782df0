"""How much is measured with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Of all parts; what was promised was promised for `FULL`."""

    ask_concepts: int
    questions: int
    ingester_lines: int
    storage_concepts: int
    searches: int
    idle_after_s: int


FULL = Sizes(
    ask_concepts=10_000, questions=300, ingester_lines=100_000, storage_concepts=100_000, searches=300, idle_after_s=15
)
# To see that the script itself works.
QUICK = Sizes(ask_concepts=200, questions=30, ingester_lines=500, storage_concepts=3_000, searches=30, idle_after_s=1)
