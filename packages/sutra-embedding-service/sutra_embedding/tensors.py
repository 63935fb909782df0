"""Arrays of numbers, as bytes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

# From onnx.proto3, TensorProto.DataType.
ONNX_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "float16": 10,
    "float64": 11,
    "bfloat16": 16,
}
ITEM_BYTES = {"float32": 4, "uint8": 1, "int8": 1, "int32": 4, "int64": 8, "float16": 2, "float64": 8, "bfloat16": 2}


@dataclass(frozen=True)
class Tensor:
    """An array in C order and little endian. `kind` is one of ONNX_TYPES. Without dimensions, it is a single number."""

    kind: str
    shape: tuple[int, ...]
    data: bytes


def integers(*values: int) -> Tensor:
    """A list of int64."""
    return Tensor("int64", (len(values),), struct.pack(f"<{len(values)}q", *values))


def integer(value: int) -> Tensor:
    """A single int64."""
    return Tensor("int64", (), struct.pack("<q", value))


def number(value: float, kind: str = "float32") -> Tensor:
    """A single number of a floating-point type."""
    return Tensor(kind, (), struct.pack({"float16": "<e", "float32": "<f", "float64": "<d"}[kind], value))


def padded(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    """A matrix of int64 with zeros after shorter rows."""
    flat = [value for row in rows for value in (*row, *[0] * (width - len(row)))]
    return Tensor("int64", (len(rows), width), struct.pack(f"<{len(flat)}q", *flat))


def rows(matrix: Tensor) -> list[list[float]]:
    """The rows of a matrix of float64."""
    return memoryview(matrix.data).cast("d", matrix.shape).tolist()  # type: ignore[call-overload, return-value]
