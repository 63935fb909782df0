"""The capabilities of each edition and the libraries that they need."""

from importlib.util import find_spec

from sutra_service.settings import EDITIONS, SettingError

DIVERSE_RANKING = "diverse-ranking"
TOPICS = "topics"
SPREADING = "concept-spreading"
TYPO_TOLERANCE = "typo-tolerance"

_SIMPLE = ("full-text-search", "vector-search", "rank-fusion")
_COMMUNITY = (*_SIMPLE, DIVERSE_RANKING, TOPICS)
_ENTERPRISE = (*_COMMUNITY, SPREADING, TYPO_TOLERANCE)
CAPABILITIES = {"simple": _SIMPLE, "community": _COMMUNITY, "enterprise": _ENTERPRISE}

# Modules and their distributions. simple needs none of them, and its image has none.
LIBRARIES = {
    DIVERSE_RANKING: (("numpy", "numpy"), ("sklearn", "scikit-learn")),
    TOPICS: (("numpy", "numpy"), ("sklearn", "scikit-learn")),
    SPREADING: (("numpy", "numpy"), ("scipy", "scipy")),
    TYPO_TOLERANCE: (("rapidfuzz", "rapidfuzz"),),
}


def check_libraries(edition: str) -> None:
    """Raise SettingError if a library of `edition` is missing. Does not import any: see libraries.py."""
    for capability in CAPABILITIES[edition]:
        for module, distribution in LIBRARIES.get(capability, ()):
            if find_spec(module) is None:
                raise SettingError(
                    f"{capability} of SUTRA_EDITION={edition!r} needs {distribution}, which is not installed; "
                    f"use an image built with EDITION={edition}, or set SUTRA_EDITION to the image's edition"
                )


def editions_with(capability: str) -> list[str]:
    """The editions that have `capability`, smallest first."""
    return [name for name in EDITIONS if capability in CAPABILITIES[name]]
