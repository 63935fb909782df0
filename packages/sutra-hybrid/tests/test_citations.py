"""Queries over long texts and texts with sources: one fact and one citation for each text."""

from typing import Any

import pytest
from backends import Backends
from starlette.testclient import TestClient

from sutra_hybrid.found import FoundText, group, rank
from sutra_hybrid.identity import identify
from sutra_hybrid.passages import Place
from sutra_hybrid.storage import Hit

# Ten words fit, and neighbours share one.
TOKENS = 12
FILLER = "one two three four five six seven eight"


def chapter(*words: str) -> str:
    """A text with a passage for each word, and fillers between them."""
    return " ".join(f"{word} {FILLER}" for word in words)


def teach(backends: Backends, client: TestClient, texts: list[Any]) -> list[str]:
    backends.encoder.max_tokens = TOKENS
    ids: list[str] = client.post("/learn", json={"texts": texts}).json()["ids"]
    backends.storage.requests.clear()
    return ids


def facts(backends: Backends) -> list[dict[str, Any]]:
    [(_, generate)] = [request for request in backends.nlg.requests if request[0] == "POST /generate"]
    return list(generate["facts"])


def test_a_citation_names_the_source_and_the_title(backends: Backends) -> None:
    with backends.hybrid() as client:
        ids = teach(backends, client, [{"text": "the sea", "source": "s.md", "title": "Sea"}, "the ship"])
        reply = client.post("/query", json={"question": "sea ship"}).json()
    cited = {citation["id"]: citation for citation in reply["citations"]}
    assert cited[ids[0]] == {
        "number": cited[ids[0]]["number"],
        "id": ids[0],
        "text": "the sea",
        "score": cited[ids[0]]["score"],
        "source": "s.md",
        "title": "Sea",
    }
    assert sorted(cited[ids[1]]) == ["id", "number", "score", "text"]
    # nlg accepts no other fields.
    assert all(sorted(fact) == ["id", "score", "text"] for fact in facts(backends))


def test_passages_of_a_text_are_one_fact_and_one_citation(backends: Backends) -> None:
    text = chapter("harbour", "cargo", "lighthouse", "tower")
    with backends.hybrid(SUTRA_HYBRID_MIN_COSINE_PERCENT="100") as client:
        [name, other] = teach(backends, client, [{"text": text, "source": "s"}, "the cargo"])
        assert len(backends.concepts) == 5
        reply = client.post("/query", json={"question": "harbour lighthouse cargo"}).json()
    citations = {citation["id"]: citation for citation in reply["citations"]}
    assert set(citations) == set(reply["scores"]) == {name, other}
    # The first three passages, without what they share.
    assert citations[name]["text"] == chapter("harbour", "cargo", "lighthouse") + " tower"
    assert citations[name]["source"] == "s"
    assert {fact["id"]: fact["text"] for fact in facts(backends)} == {
        name: citations[name]["text"],
        other: "the cargo",
    }


def test_a_gap_is_marked(backends: Backends) -> None:
    text = chapter("harbour", "cargo", "lighthouse", "tower")
    with backends.hybrid(SUTRA_HYBRID_MIN_COSINE_PERCENT="100") as client:
        [name] = teach(backends, client, [text])
        reply = client.post("/query", json={"question": "harbour tower"}).json()
    [citation] = reply["citations"]
    # "tower" is in the third passage too, as the word that it shares with the fourth.
    assert citation["text"] == f"harbour {FILLER} cargo \u2026 lighthouse {FILLER} tower {FILLER}"
    assert list(reply["scores"]) == [name]


def test_the_scores_are_of_the_best_passage(backends: Backends) -> None:
    backends.meanings = {
        "question": [1.0, 0.0],
        f"harbour {FILLER} cargo": [0.6, 0.8],
        f"cargo {FILLER}": [0.8, 0.6],
        "question alone": [0.0, 1.0],
    }
    with backends.hybrid() as client:
        [name, other] = teach(backends, client, [chapter("harbour", "cargo"), "question alone"])
        reply = client.post("/query", json={"question": "question"}).json()
    assert reply["scores"] == {
        name: {"fused": pytest.approx(0.5), "vector": pytest.approx(0.8)},
        other: {"fused": pytest.approx(0.5), "text": 1.0},
    }


def test_the_limit_counts_texts(backends: Backends) -> None:
    with backends.hybrid() as client:
        ids = teach(backends, client, [chapter(*["sea"] * 4, str(number)) for number in range(6)])
        reply = client.post("/query", json={"question": "sea", "limit": 4}).json()
    assert len(reply["citations"]) == len(reply["scores"]) == len({*reply["scores"]}) == 4
    assert {*reply["scores"]} <= {*ids}


def test_the_search_goes_deeper_if_one_text_has_all_results(backends: Backends) -> None:
    with backends.hybrid() as client:
        ids = teach(backends, client, [chapter(*["sea"] * 60), *(f"sea {FILLER} {n} more words" for n in "abc")])
        reply = client.post("/query", json={"question": "sea", "limit": 4}).json()
        limits = [body["limit"] for name, body in backends.storage.requests if name == "POST /v1/search"]
        assert sorted(limits) == [50, 50, 100, 100]
        assert {*reply["scores"]} == {*ids}
        backends.storage.requests.clear()
        # Enough texts in the first results.
        client.post("/query", json={"question": "sea", "limit": 1})
    limits = [body["limit"] for name, body in backends.storage.requests if name == "POST /v1/search"]
    assert limits == [50, 50]


def test_only_the_best_passages_are_cited() -> None:
    hits = [hit(number, text=f"{number:04}") for number in (3, 1, 2, 9, 8, 7)]
    found = group([hits])["0" * 32]
    assert found.best is hits[0]
    # Blanks are missing between consecutive ones, other passages between others.
    assert found.text(1_000) == "0001\n\n0002\n\n0003 \u2026 0008\n\n0009"
    assert found.text(8) == "0001 \u2026 0003"
    assert found.text(1) == "0003"


def hit(number: int, text: str = "t", score: float = 1.0) -> Hit:
    name = "0" * 32 + (f"-{number}" if number > 1 else "")
    metadata = {"passage": {"number": number, "of": 9, "start": number * 1_000 - 1_000}}
    return Hit(id=name, text=text, score=score, metadata=metadata)


def test_texts_are_ranked_by_their_first_passage() -> None:
    other = Hit(id="other", text="o", score=2.5)
    by_text, by_vector = [hit(2, score=3.0), other, hit(1, score=2.0)], [other, hit(3, score=0.9)]
    assert rank(by_text) == {"0" * 32: 3.0, "other": 2.5}
    found = group([by_text, by_vector])
    assert list(found) == ["other", "0" * 32]
    assert found["other"] == FoundText("other", [(Place("other"), by_vector[0])])
    assert [place.number for place, _ in found["0" * 32].passages] == [2, 3, 1]


ODD: list[tuple[str, Any]] = [
    ("probe-1", {"of": "smoke"}),
    ("a/b?c#d", {"source": 7, "title": {}, "metadata": "x"}),
    ("0" * 32, {"passage": {"number": 1, "of": 5, "start": 3}}),
    (f"{'0' * 32}-2", {"passage": {"number": 2, "of": 3, "start": 10**12}}),
    (f"{'0' * 32}-3", {"passage": "third", "source": "s" * 501}),
    (f"{'1' * 32}-7", {"passage": {"number": 7, "of": 9, "start": 0}, "title": ""}),
    ("\u2028", {"passage": None, "source": None}),
]


@pytest.mark.parametrize("edition", ["simple", "enterprise"])
def test_concepts_of_other_clients_break_nothing(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, edition: str
) -> None:
    if edition != "simple":
        pytest.importorskip("scipy")
    for name, metadata in ODD:
        concept = {"id": name, "text": f"the sea of {name}", "vector": backends.vector("the sea"), "metadata": metadata}
        backends.store.concepts[name] = concept
    backends.store.concepts["no vector"] = {"id": "no vector", "text": "the sea"}
    with backends.hybrid(SUTRA_EDITION=edition) as client:
        assert client.post("/learn", json={"texts": ["the sea too"]}).status_code == 200
        answer = client.post("/query", json={"question": "the sea", "limit": 10})
        listed = client.get("/concepts").json()["concepts"]
        for text in listed:
            assert client.get("/concepts/" + "".join(f"%{byte:02X}" for byte in text["id"].encode())).status_code == 200
        if edition != "simple":
            topics = client.post("/topics", json={"question": "the sea"}).json()["topics"]
            assert sum(len(topic["concepts"]) for topic in topics) == len(answer.json()["scores"])
    cited = {citation["id"]: citation for citation in answer.json()["citations"]}
    assert set(cited) == {
        *("probe-1", "a/b?c#d", "0" * 32, f"{'0' * 32}-3", "1" * 32, "\u2028", "no vector"),
        identify("the sea too"),
    }
    assert not any("source" in citation or "title" in citation for citation in cited.values())
    # Passage 7 of the text has no first passage, so that there is nothing to list.
    assert {text["id"] for text in listed} == {*cited} - {"1" * 32}


def test_metadata_that_is_no_object_breaks_nothing(backends: Backends) -> None:
    hits = [
        {"id": str(number), "text": "a word", "score": 1.0, "metadata": odd} for number, odd in enumerate([[], 1, ""])
    ]
    backends.storage.replies["POST /v1/search"] = (200, {"results": hits})
    with backends.hybrid() as client:
        assert len(client.post("/query", json={"question": "word"}).json()["scores"]) == 3
