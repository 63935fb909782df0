"""Enterprise: concept spreading."""

import math

import pytest
from backends import Backends

from sutra_hybrid.spreading import spread

# A chain: neighbours have a cosine of 0.49, all others 0.
CHAIN = ["question", "near", "one hop", "two hops", "three hops"]


def angle(step: int) -> list[float]:
    vector = [0.0] * (len(CHAIN) + 1)
    vector[step], vector[step + 1] = math.cos(math.radians(40)), math.sin(math.radians(40))
    return vector


def test_activation_sums_to_one_and_decreases_with_distance() -> None:
    edges = {("a", "b"): 0.9, ("b", "c"): 0.9, ("c", "d"): 0.9}
    activation = spread({"a": 1.0}, edges)
    assert sum(activation.values()) == pytest.approx(1)
    assert list(activation) == ["a", "b", "c", "d"]


def test_the_result_is_the_fixed_point_of_personalised_pagerank() -> None:
    edges = {("a", "b"): 0.9, ("b", "c"): 0.5, ("c", "a"): 0.4, ("c", "d"): 0.7}
    seeds = {"a": 0.75, "b": 0.25}
    activation = spread(seeds, edges)
    weights = {**edges, **{(end, start): weight for (start, end), weight in edges.items()}}
    leaving = {name: sum(weight for (start, _), weight in weights.items() if start == name) for name in "abcd"}
    for name in "abcd":
        handed = sum(
            activation[start] * weight / leaving[start] for (start, end), weight in weights.items() if end == name
        )
        assert activation[name] == pytest.approx(0.5 * handed + 0.5 * seeds.get(name, 0), abs=1e-9)


def test_a_stronger_edge_passes_more() -> None:
    activation = spread({"a": 1.0}, {("a", "b"): 0.9, ("a", "c"): 0.4})
    assert activation["b"] / activation["c"] == pytest.approx(0.9 / 0.4)


def test_edges_are_undirected_and_the_stronger_direction_counts() -> None:
    both = spread({"a": 1.0}, {("a", "b"): 0.4, ("b", "a"): 0.8, ("a", "c"): 0.8})
    assert both["b"] == pytest.approx(both["c"])


def test_an_isolated_seed_keeps_its_activation() -> None:
    assert spread({"a": 3.0}, {}) == {"a": pytest.approx(1)}
    alone = spread({"a": 1.0, "x": 1.0}, {("a", "b"): 0.9})
    assert sum(alone.values()) == pytest.approx(1)
    assert set(alone) == {"a", "b", "x"}


def test_unreachable_concepts_are_omitted() -> None:
    assert set(spread({"a": 1.0}, {("a", "b"): 0.5, ("x", "y"): 0.9})) == {"a", "b"}


def cited(backends: Backends, edition: str) -> list[str]:
    backends.meanings = {text: angle(step) for step, text in enumerate(CHAIN)}
    with backends.hybrid(SUTRA_EDITION=edition, SUTRA_HYBRID_MIN_COSINE_PERCENT="40") as client:
        client.post("/learn", json={"texts": CHAIN[1:]})
        reply = client.post("/query", json={"question": "question"}).json()
    assert [sorted(scores)[0] for scores in reply["scores"].values()] == ["fused"] * len(reply["scores"])
    return [citation["text"] for citation in reply["citations"]]


def test_a_neighbour_of_a_neighbour_is_found(backends: Backends) -> None:
    assert cited(backends, "community") == ["near"]
    first, *others = cited(backends, "enterprise")
    # Diverse ranking determines their order.
    assert (first, sorted(others)) == ("near", ["one hop", "two hops"])


def test_the_scores_show_how_a_concept_was_found(backends: Backends) -> None:
    backends.meanings = {text: angle(step) for step, text in enumerate(CHAIN)}
    with backends.hybrid(SUTRA_EDITION="enterprise", SUTRA_HYBRID_MIN_COSINE_PERCENT="40") as client:
        ids = client.post("/learn", json={"texts": CHAIN[1:]}).json()["ids"]
        scores = client.post("/query", json={"question": "question"}).json()["scores"]
    assert sorted(scores[ids[0]]) == ["fused", "spread", "vector"]
    assert sorted(scores[ids[2]]) == ["fused", "spread"]
    assert scores[ids[0]]["spread"] > scores[ids[1]]["spread"] > scores[ids[2]]["spread"] > 0


def test_the_number_of_calls_is_bounded(backends: Backends) -> None:
    texts = [f"sea{number} wave{number % 7} ship{number % 5}" for number in range(120)]
    with backends.hybrid(SUTRA_EDITION="enterprise") as client:
        client.post("/learn", json={"texts": texts})
        backends.storage.requests.clear()
        client.post("/query", json={"question": "wave3 ship2 wave1 ship1", "limit": 5})
    names = [name for name, _ in backends.storage.requests]
    assert names.count("POST /v1/search") <= 2 + 14
    assert len(names) - names.count("POST /v1/search") <= 14 + 15
