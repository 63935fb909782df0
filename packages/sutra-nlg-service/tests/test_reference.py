"""Tests that the recorded reference is up to date and agrees with an independent computation."""

import pytest
from support import tiny_checkpoint
from support.cases import ANSWER_TOKENS, PROMPTS
from support.recorded import RECORD
from support.reference_model import ReferenceModel


def test_the_weights_and_prompts_match_the_recording() -> None:
    assert RECORD["checkpoint"] == tiny_checkpoint.digest(tiny_checkpoint.weights(tiny_checkpoint.Shape()))
    assert [entry["prompt"] for entry in RECORD["prompts"]] == PROMPTS
    assert set(RECORD["made_with"]) == {"torch", "transformers", "tokenizers"}


@pytest.mark.parametrize("entry", RECORD["prompts"], ids=lambda entry: entry["prompt"][:12])
def test_numpy_gives_the_same_tokens(entry: dict[str, list[int]]) -> None:
    model = ReferenceModel(tiny_checkpoint.Shape())
    # With a smaller margin, rounding could change the tokens.
    assert model.lead(entry["tokens"], entry["said"], ANSWER_TOKENS) > 1e-3
    other = [*entry["said"][:-1], entry["said"][-1] ^ 1]
    assert model.lead(entry["tokens"], other, ANSWER_TOKENS) < 0


def test_the_reference_is_varied() -> None:
    said = [tuple(entry["said"]) for entry in RECORD["prompts"]]
    assert len(set(said)) == len(said)
    assert all(len(set(tokens)) > 5 for tokens in said)
    assert max(map(len, said)) == ANSWER_TOKENS
