"""Transforms a model's weights on loading and conversion. ONNX Runtime does the computing."""

from collections.abc import Callable

from sutra_embedding.onnx_file import Graph
from sutra_embedding.onnx_runtime import Session
from sutra_embedding.tensors import ONNX_TYPES, Tensor, integer, integers, number

LEVELS = 127
# What the 8-bit multiplication subtracts from a level.
ZERO_POINT = 128


def calculate(kind: str, build: Callable[..., str], *inputs: Tensor) -> Tensor:
    """Calculate a tensor of type `kind`. `build` gets a graph and the inputs' names; it returns the result's name."""
    graph = Graph(external_data=False)
    named = {graph.input(f"input{place}", tensor.kind, tensor.shape): tensor for place, tensor in enumerate(inputs)}
    result = build(graph, *named)
    graph.output(result, kind)
    return Session(graph.model("calculation", {}).proto, threads=1).run(named, result)


def as_type(kind: str, tensor: Tensor) -> Tensor:
    """The same numbers, rounded to another type."""
    if tensor.kind == kind:
        return tensor
    return calculate(kind, lambda graph, value: graph.node("Cast", value, to=ONNX_TYPES[kind]), tensor)


def transposed(matrix: Tensor) -> Tensor:
    """Swap rows and columns."""
    return calculate(matrix.kind, lambda graph, value: graph.node("Transpose", value, perm=(1, 0)), matrix)


def concatenated(tensors: list[Tensor], axis: int) -> Tensor:
    """Join tensors along an axis."""
    return calculate(tensors[0].kind, lambda graph, *values: graph.node("Concat", *values, axis=axis), *tensors)


def added_row(table: Tensor, rows: int, others: Tensor) -> Tensor:
    """The first rows of a table, each plus the first row of another table."""

    def build(graph: Graph, values: str, other: str) -> str:
        start = graph.constant(integers(0))
        taken = graph.node("Slice", values, start, graph.constant(integers(rows)))
        return graph.node("Add", taken, graph.node("Gather", other, graph.constant(integer(0)), axis=0))

    return calculate(table.kind, build, table, others)


def quantized(matrix: Tensor, block: int, *, unsigned: bool = False) -> tuple[Tensor, Tensor]:
    """Quantize a matrix to integers from -127 to 127, with a float16 scale per block of a row.

    The integers have the shape (rows, blocks, values in a block), the scales (rows, blocks, 1). `unsigned` adds
    ZERO_POINT to the integers.
    """
    rows, columns = matrix.shape
    blocks = Tensor(matrix.kind, (rows, columns // block, block), matrix.data)

    def scale(graph: Graph, values: str) -> str:
        largest = graph.node("ReduceMax", graph.node("Abs", values), graph.constant(integers(2)), keepdims=1)
        divided = graph.node("Div", largest, graph.constant(number(LEVELS)))
        return graph.node("Cast", divided, to=ONNX_TYPES["float16"])

    scales = calculate("float16", scale, blocks)
    kind = "uint8" if unsigned else "int8"

    def level(graph: Graph, values: str, scales: str) -> str:
        # Divide by the rounded scale, which is also used to convert back. A block of zeros has scale 0.
        rounded = graph.node("Cast", scales, to=ONNX_TYPES["float32"])
        zero = graph.node("Equal", rounded, graph.constant(number(0)))
        divisor = graph.node("Where", zero, graph.constant(number(1)), rounded)
        whole = graph.node("Round", graph.node("Div", values, divisor))
        clipped = graph.node("Clip", whole, graph.constant(number(-LEVELS)), graph.constant(number(LEVELS)))
        if unsigned:
            clipped = graph.node("Add", clipped, graph.constant(number(ZERO_POINT)))
        return graph.node("Cast", clipped, to=ONNX_TYPES[kind])

    return calculate(kind, level, blocks, scales), scales
