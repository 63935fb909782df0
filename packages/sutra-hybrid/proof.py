"""Run every capability of an edition on the image's own interpreter and libraries: `python proof.py EDITION`.

Part of the build, not of the image: what pruning took too much of is missed here, not in production.
"""

import sys
from importlib.util import find_spec

from sutra_service.settings import Environment

from sutra_hybrid import application, capabilities
from sutra_hybrid.diversity import diversify
from sutra_hybrid.spelling import correct
from sutra_hybrid.spreading import spread
from sutra_hybrid.topics import find_topics

GROUPS = {"ship": ["ship ocean cargo", "ocean ship sail", "cargo ship"], "bread": ["bread flour", "flour bread yeast"]}


def main(edition: str) -> None:
    """Make the application and use the edition's capabilities; raises at the first that does not work."""
    environment = Environment({"SUTRA_EDITION": edition})
    application.create(application.read_settings(environment), environment)
    had = capabilities.CAPABILITIES[edition]
    ways = {
        capabilities.DIVERSE_RANKING: diverse_ranking,
        capabilities.TOPICS: topics,
        capabilities.SPREADING: spreading,
        capabilities.TYPO_TOLERANCE: typo_tolerance,
    }
    for capability in had:
        if capability in ways:
            ways[capability]()
    needed = {module for capability in had for module, _ in capabilities.LIBRARIES.get(capability, ())}
    known = {module for libraries in capabilities.LIBRARIES.values() for module, _ in libraries}
    # scikit-learn brings scipy, whatever the edition does with it.
    needed |= {"scipy"} if "sklearn" in needed else set()
    found = {module for module in known if find_spec(module)}
    if found != needed:
        raise SystemExit(f"edition {edition} needs {sorted(needed)}, the image holds {sorted(found)}")
    print(f"edition {edition} works: {', '.join(had)}")


def diverse_ranking() -> None:
    """Of two equal directions, one comes later."""
    chosen = diversify({"a": 1.0, "b": 0.9, "c": 0.8}, {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}, 3)
    expect(chosen, ["a", "c", "b"])


def topics() -> None:
    """Two subjects are two topics."""
    texts = [text for group in GROUPS.values() for text in group]
    for count in (None, 2):
        expect([cluster.members for cluster in find_topics(texts, count)], [[0, 1, 2], [3, 4]])


def spreading() -> None:
    """Activation falls with the distance."""
    expect(list(spread({"a": 1.0}, {("a", "b"): 0.9, ("b", "c"): 0.9, ("c", "d"): 0.9})), ["a", "b", "c", "d"])


def typo_tolerance() -> None:
    """A slip is mended."""
    expect(correct("Eifel", ["Eiffel"]), "eiffel")


def expect(found: object, expected: object) -> None:
    """Stop the build where a result is another."""
    if found != expected:
        raise SystemExit(f"expected {expected}, found {found}")


if __name__ == "__main__":
    main(sys.argv[1])
