"""Compares the calculations with numpy's."""

from typing import Any

import numpy as np
import pytest

from sutra_embedding import calculations
from sutra_embedding.tensors import Tensor, integers, padded


def tensor(values: Any) -> Tensor:
    return Tensor(values.dtype.name, values.shape, values.tobytes())


def array(made: Tensor) -> Any:
    return np.frombuffer(made.data, made.kind).reshape(made.shape)


def random(*shape: int) -> Any:
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def test_rearranged_matrices() -> None:
    one, other = random(3, 5), random(3, 2)
    assert (array(calculations.transposed(tensor(one))) == one.T).all()
    joined = calculations.concatenated([tensor(one), tensor(other)], axis=1)
    assert (array(joined) == np.concatenate([one, other], axis=1)).all()
    table = random(4, 2)
    assert (array(calculations.added_row(tensor(table), 3, tensor(other))) == table[:3] + other[0]).all()


def test_numbers_are_rounded_to_the_nearest() -> None:
    values = np.concatenate([random(1000), np.array([0, 65504, 1e-7, 2**-24, 1 + 2**-11, 1 + 3 * 2**-11], np.float32)])
    found = array(calculations.as_type("float16", tensor(values)))
    assert (found == values.astype(np.float16)).all()
    assert (array(calculations.as_type("float32", tensor(found))) == found).all()


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    values = random(7)
    halves = (values.view("<u4") >> 16).astype("<u2")
    found = calculations.as_type("float32", Tensor("bfloat16", values.shape, halves.tobytes()))
    assert (array(found).view("<u4") == halves.astype("<u4") << 16).all()


@pytest.mark.parametrize("unsigned", [False, True])
def test_quantized_matrices(unsigned: bool) -> None:
    values = random(3, 64)
    values[0, :32] = 0
    levels, scales = (array(made) for made in calculations.quantized(tensor(values), 32, unsigned=unsigned))
    blocks = values.reshape(3, 2, 32)
    expected = (np.abs(blocks).max(2, keepdims=True) / 127).astype(np.float16)
    assert (scales == expected).all()
    assert levels.dtype == (np.uint8 if unsigned else np.int8)
    signed = levels.astype(np.int16) - (128 if unsigned else 0)
    assert (signed[0, 0] == 0).all()
    assert np.abs(signed).max() == 127
    assert np.abs(signed * scales.astype(np.float32) - blocks).max() <= np.abs(values).max() / 127 * 0.51


def test_rows_are_padded() -> None:
    assert (array(padded([[1, 2, 3], [4]], 3)) == [[1, 2, 3], [4, 0, 0]]).all()
    assert array(integers()).shape == (0,)
