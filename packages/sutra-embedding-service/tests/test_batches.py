import random

from sutra_embedding.batches import batches, portions


def test_every_text_is_in_one_batch_within_the_limit() -> None:
    lengths = [random.Random(1).randrange(2, 257) for _ in range(128)]  # noqa: S311 - nothing secret
    groups = batches(lengths, 1024)
    assert sorted(index for group in groups for index in group) == list(range(128))
    assert all(max(lengths[index] for index in group) * len(group) <= 1024 for group in groups)
    # The encoder relies on the first text being the longest.
    assert all(lengths[group[0]] == max(lengths[index] for index in group) for group in groups)


def test_similar_lengths_are_grouped() -> None:
    assert batches([2, 100, 3, 99], 200) == [[1, 3], [2, 0]]


def test_a_text_over_the_limit_is_alone() -> None:
    assert batches([5, 300, 5], 100) == [[1], [0, 2]]


def test_one_text() -> None:
    assert batches([7]) == [[0]]


def test_portions_keep_the_order_and_the_limit() -> None:
    texts = ["a" * random.Random(1).randrange(2, 257) for _ in range(128)]  # noqa: S311 - nothing secret
    groups = portions(texts, 1024)
    assert [text for group in groups for text in group] == texts
    assert all(sum(map(len, group)) <= 1024 for group in groups)
    assert portions(["aa", "b", "c" * 9, "", "d"], 3) == [["aa", "b"], ["c" * 9], ["", "d"]]


def test_a_few_texts_are_one_portion() -> None:
    assert portions(["a" * 50_000, "", "b" * 10_000]) == [["a" * 50_000, "", "b" * 10_000]]
