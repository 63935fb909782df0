"""Compares the ONNX engine with sentence-transformers: see make_reference.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import REFERENCE, cosine, tokens, vector
from sentences import SENTENCES

from sutra_embedding.encoder import DECIMALS, Encoder, split
from sutra_embedding.engines import load

LEAST_COSINE = {"original_folder": 0.999999, "converted_folder": 0.9995}


@pytest.fixture(scope="module", params=LEAST_COSINE)
def engine(request: pytest.FixtureRequest) -> tuple[Encoder, float]:
    return load(request.getfixturevalue(request.param), "onnx", 2), LEAST_COSINE[request.param]


def embed(encoder: Encoder, texts: list[str]) -> Any:
    vectors = np.full((len(texts), encoder.dimension), np.nan)
    for batch in split(encoder.tokenize(texts)):
        vectors[batch.indexes] = encoder.run(batch)
    return vectors


def test_the_reference_is_up_to_date() -> None:
    assert list(REFERENCE["sentences"]) == list(SENTENCES)
    assert REFERENCE["dimension"] == 384


@pytest.mark.parametrize("name", SENTENCES)
def test_sentences_one_by_one(engine: tuple[Encoder, float], name: str) -> None:
    encoder, least = engine
    (batch,) = split(encoder.tokenize([SENTENCES[name]]))
    assert len(batch.texts[0].ids) == tokens(name)
    (mine,) = encoder.run(batch)
    assert mine == [round(value, DECIMALS) for value in mine]
    assert cosine(mine, vector(name)) >= least
    assert np.linalg.norm(mine) == pytest.approx(1, abs=1e-5)


def test_all_sentences_in_one_request(engine: tuple[Encoder, float]) -> None:
    encoder, least = engine
    vectors = embed(encoder, list(SENTENCES.values()))
    cosines = {name: cosine(mine, vector(name)) for name, mine in zip(SENTENCES, vectors, strict=True)}
    assert min(cosines.values()) >= least, cosines


def test_similarities_between_sentences_match_the_reference(engine: tuple[Encoder, float]) -> None:
    encoder, _ = engine
    names = [name for name in SENTENCES if name not in ("255 tokens", "256 tokens", "257 tokens", "empty", "blanks")]
    mine = embed(encoder, [SENTENCES[name] for name in names])
    theirs = np.array([vector(name) for name in names])
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    # Compare every pair, not only each sentence with itself.
    assert np.abs(mine @ mine.T - theirs @ theirs.T).max() < 0.02
    assert (theirs @ theirs.T).min() < 0.1


def test_8_bits_in_memory(original_folder: Path) -> None:
    encoder = load(original_folder, "onnx", 2, "int8")
    cosines = {name: cosine(embed(encoder, [text])[0], vector(name)) for name, text in SENTENCES.items()}
    assert min(cosines.values()) >= 0.999, cosines
