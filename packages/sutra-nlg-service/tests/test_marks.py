from sutra_nlg import marks


def test_numbers() -> None:
    assert marks.numbers("a [1] b [2, 3] c [4 ,5][6] (7) [x] [] [-8] [1 2]") == {1, 2, 3, 4, 5, 6}


def test_replace_renumbers_and_removes() -> None:
    new = {3: 1, 1: 2}
    assert marks.replace("a [3]. b [1, 3, 9], c [9] [3, 3]", new.get) == "a [1]. b [2, 1], c  [1]"


def test_defuse_leaves_no_mark() -> None:
    assert marks.defuse("see [1] and [2, 3], not [x]") == "see (1) and (2, 3), not [x]"
    assert marks.numbers(marks.defuse("[[1]] [[[2, 3]]]")) == set()
