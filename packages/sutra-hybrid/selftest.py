"""Run every capability of an edition with the image's interpreter and libraries: `python selftest.py EDITION`.

The build runs it, so that excessive pruning fails the build and not production. Not part of the image.
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
    """Create the application and use each of the edition's capabilities. Raises if one does not work."""
    environment = Environment({"SUTRA_EDITION": edition})
    application.create(application.read_settings(environment), environment)
    expected = capabilities.CAPABILITIES[edition]
    checks = {
        capabilities.DIVERSE_RANKING: diverse_ranking,
        capabilities.TOPICS: topics,
        capabilities.SPREADING: spreading,
        capabilities.TYPO_TOLERANCE: typo_tolerance,
    }
    for capability in expected:
        if capability in checks:
            checks[capability]()
    needed = {module for capability in expected for module, _ in capabilities.LIBRARIES.get(capability, ())}
    known = {module for libraries in capabilities.LIBRARIES.values() for module, _ in libraries}
    # scikit-learn requires scipy, even if the edition does not use it.
    needed |= {"scipy"} if "sklearn" in needed else set()
    found = {module for module in known if find_spec(module)}
    if found != needed:
        raise SystemExit(f"edition {edition} needs {sorted(needed)}, but the image has {sorted(found)}")
    print(f"edition {edition} works: {', '.join(expected)}")


def diverse_ranking() -> None:
    """A duplicate is ranked last."""
    chosen = diversify({"a": 1.0, "b": 0.9, "c": 0.8}, {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}, 3)
    expect(chosen, ["a", "c", "b"])


def topics() -> None:
    """Two subjects form two topics."""
    texts = [text for group in GROUPS.values() for text in group]
    for count in (None, 2):
        expect([cluster.members for cluster in find_topics(texts, count)], [[0, 1, 2], [3, 4]])


def spreading() -> None:
    """Activation decreases with distance."""
    expect(list(spread({"a": 1.0}, {("a", "b"): 0.9, ("b", "c"): 0.9, ("c", "d"): 0.9})), ["a", "b", "c", "d"])


def typo_tolerance() -> None:
    """A typo is corrected."""
    expect(correct("Eifel", ["Eiffel"]), "eiffel")


def expect(found: object, expected: object) -> None:
    """Fail unless the result is as expected."""
    if found != expected:
        raise SystemExit(f"expected {expected}, found {found}")


if __name__ == "__main__":
    main(sys.argv[1])
