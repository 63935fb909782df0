"""Community: diverse ranking."""

import pytest
from backends import Backends, cosine

from sutra_hybrid.diversity import diversify

# A group of three almost equal vectors and two different ones, in the order of their scores.
VECTORS = {
    "a1": [1.0, 0.0, 0.0],
    "a2": [0.99, 0.01, 0.0],
    "a3": [0.98, 0.02, 0.0],
    "b1": [0.0, 1.0, 0.1],
    "c1": [0.1, 0.0, 1.0],
}
SCORES = {"a1": 1.0, "a2": 0.95, "a3": 0.93, "b1": 0.9, "c1": 0.8}


def redundancy(names: list[str]) -> float:
    """The mean pairwise cosine."""
    pairs = [(a, b) for a in names for b in names if a < b]
    return sum(cosine(VECTORS[a], VECTORS[b]) for a, b in pairs) / len(pairs)


def test_the_most_relevant_comes_first_and_then_different_ones() -> None:
    chosen = diversify(SCORES, VECTORS, 3)
    assert chosen == ["a1", "b1", "c1"]
    assert redundancy(chosen) < 0.2
    assert redundancy(list(SCORES)[:3]) > 0.9


def test_every_choice_has_the_highest_marginal_relevance() -> None:
    chosen = diversify(SCORES, VECTORS, 5)
    assert sorted(chosen) == sorted(SCORES)
    for place in range(1, 5):
        before, left = chosen[:place], chosen[place:]

        def gain(name: str, before: list[str] = before) -> float:
            return 0.7 * SCORES[name] - 0.3 * max(cosine(VECTORS[name], VECTORS[other]) for other in before)

        assert gain(chosen[place]) == pytest.approx(max(map(gain, left)))


def test_a_concept_without_a_vector_is_not_similar_to_others() -> None:
    vectors = {name: vector for name, vector in VECTORS.items() if name != "a2"}
    assert diversify(SCORES, vectors, 2) == ["a1", "a2"]


def test_without_comparable_vectors_the_order_is_unchanged() -> None:
    assert diversify(SCORES, {}, 5) == list(SCORES)
    assert diversify(SCORES, {"a1": [1.0], "a2": [1.0, 0.0]}, 5) == list(SCORES)


def test_much_higher_relevance_outweighs_similarity() -> None:
    assert diversify({"a1": 1.0, "a2": 0.9, "b1": 0.1}, VECTORS, 2) == ["a1", "a2"]


@pytest.mark.parametrize(("edition", "second"), [("simple", "alike"), ("community", "other")])
def test_the_answer_cites_different_concepts(backends: Backends, edition: str, second: str) -> None:
    backends.meanings = {
        "question": [1.0, 0.0, 0.0],
        "first": [0.9, 0.44, 0.0],
        "alike": [0.88, 0.47, 0.01],
        "other": [0.87, 0.0, 0.49],
    }
    with backends.hybrid(SUTRA_EDITION=edition) as client:
        client.post("/learn", json={"texts": ["first", "alike", "other"]})
        reply = client.post("/query", json={"question": "question", "limit": 2}).json()
    assert [citation["text"] for citation in reply["citations"]] == ["first", second]


def test_the_number_of_calls_is_bounded(backends: Backends) -> None:
    texts = [f"sea {number}" for number in range(60)]
    with backends.hybrid(SUTRA_EDITION="community") as client:
        client.post("/learn", json={"texts": texts})
        backends.storage.requests.clear()
        assert len(client.post("/query", json={"question": "sea", "limit": 3}).json()["citations"]) == 3
    fetched = [name for name, _ in backends.storage.requests if name.startswith("GET /v1/concepts/")]
    assert len(fetched) == len(set(fetched)) == 9


def test_a_concept_deleted_after_the_search_is_ignored(backends: Backends) -> None:
    with backends.hybrid(SUTRA_EDITION="community") as client:
        ids = client.post("/learn", json={"texts": ["sea one", "sea two"]}).json()["ids"]
        gone = (404, {"error": {"code": "not_found", "message": "no such concept"}})
        backends.storage.replies[f"GET /v1/concepts/{ids[0]}"] = gone
        assert client.post("/query", json={"question": "sea"}).status_code == 200
        backends.storage.replies[f"GET /v1/concepts/{ids[1]}"] = (500, {})
        assert client.post("/query", json={"question": "sea"}).json()["error"]["code"] == "storage_failed"
