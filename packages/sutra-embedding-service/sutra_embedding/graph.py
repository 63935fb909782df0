"""Builds the ONNX graph of a sentence-transformers model: token ids and mask in, embeddings out.

Uses ONNX Runtime's fused operators for attention, GELU and add-and-normalize, so that it need not
find them at every start. Weights may be stored in a smaller type: the graph converts them to float32,
which ONNX Runtime does once, on loading. Word embeddings are the exception, because they are half of
a small model: the graph converts only the rows that a text needs, on each run, and only these rows
are read into memory.

With int8, matrices stay in 8 bits in memory too: ONNX Runtime multiplies them block by block.

The graph also rounds the embeddings to DECIMALS.
"""

from collections.abc import Callable
from dataclasses import asdict

from sutra_embedding.calculations import added_row, as_type, concatenated, quantized, transposed
from sutra_embedding.encoder import DECIMALS
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import ModelFolder
from sutra_embedding.onnx_file import CONTRIB, Graph, Model
from sutra_embedding.onnx_runtime import OnnxRuntimeError
from sutra_embedding.safetensors import SafeTensors
from sutra_embedding.tensors import ONNX_TYPES, Tensor, integer, integers, number

# Adds the product of a value and a matrix of shape (outputs, inputs), as PyTorch stores it.
type Multiply = Callable[[Graph, str, Tensor], str]

IDS, MASK, OUTPUT = "input_ids", "attention_mask", "embeddings"
PRODUCER = "sutra-embedding"
# Increment when the file's contents change, so that older files are rejected.
FORMAT = 3
FLOAT32, INT32, FLOAT64 = (ONNX_TYPES[kind] for kind in ("float32", "int32", "float64"))
# Values that share a scale: of word embeddings and of matrices in memory, and of matrices in a file. Errors of matrices
# add up over the layers: with 16, the lowest cosine to sentence-transformers is 0.99953. With 32, it would be 0.99946,
# and MiniLM's file 0.7 MB smaller; with float16, 0.99997 and 9.3 MB larger.
BLOCK = 32
MATRIX_BLOCK = 16
INT8 = "int8"
COMPACT = "compact"
# ONNX Runtime multiplies in float32. At level 4 it would quantize the other factor too: not faster for MiniLM, and the
# lowest cosine to sentence-transformers would be 0.998 instead of 0.9995.
ACCURACY_LEVEL = 1
# The same as in PyTorch's normalize().
MIN_NORM = 1e-12


def build(folder: ModelFolder, tensors: SafeTensors, prefix: str, precision: str) -> Model:
    """Build the model with matrices of a precision (see MULTIPLY).

    float32: everything is in the model itself. compact: for a file, in 8 bits, and large constants are external data.
    int8: word embeddings are in 8 bits, and everything is in the model.

    Raises ModelError if it exceeds the size limit of an ONNX file, if the matrices cannot be divided into blocks, or if
    ONNX Runtime cannot calculate with the weights.
    """
    sizes = (folder.bert.hidden, folder.bert.intermediate)
    if precision == INT8 and any(size % BLOCK for size in sizes):
        raise ModelError(f"{folder.path}: 8 bits need sizes that are multiples of {BLOCK}, not {sizes}; use float32")
    try:
        return _Encoder(folder, tensors, prefix, precision).model()
    except ValueError as error:
        raise ModelError(f"{folder.path}: {error}; use a smaller model") from None
    except OnnxRuntimeError as error:
        raise ModelError(f"{folder.path}: cannot calculate with the weights ({error}); copy the folder again") from None


def properties(folder: ModelFolder) -> dict[str, str]:
    """The metadata of an ONNX file: everything it was built from except the weights."""
    facts = asdict(folder.bert) | {"pooling": folder.pooling, "normalize": folder.normalize}
    return {name: str(value) for name, value in (facts | {"max_tokens": folder.max_tokens, "form": FORMAT}).items()}


def as_float32(graph: Graph, value: str, matrix: Tensor) -> str:
    """Multiply by a matrix that is stored as float32."""
    return graph.node("MatMul", value, graph.constant(transposed(matrix)))


def as_compact(graph: Graph, value: str, matrix: Tensor) -> str:
    """Multiply by a matrix that is stored compactly and computed with as float32."""
    return graph.node("MatMul", value, compact(graph, matrix))


def compact(graph: Graph, matrix: Tensor) -> str:
    """Swap rows and columns of a matrix that is stored in 8 bits with a float16 scale per block.

    The nodes have constant inputs, so ONNX Runtime computes them once, on loading. A matrix that cannot be divided into
    blocks is stored as float16.
    """
    rows, columns = matrix.shape
    if columns % MATRIX_BLOCK:
        return graph.node("Cast", graph.constant(as_type("float16", transposed(matrix))), to=FLOAT32)
    levels, scales = (graph.constant(stored) for stored in quantized(matrix, MATRIX_BLOCK))
    factors = graph.node("Cast", scales, to=FLOAT32)
    product = graph.node("Mul", graph.node("Cast", levels, to=FLOAT32), factors)
    return graph.node("Transpose", graph.node("Reshape", product, graph.constant(integers(rows, columns))), perm=(1, 0))


def as_int8(graph: Graph, value: str, matrix: Tensor) -> str:
    """Multiply by a matrix of integers with a float32 scale per block."""
    rows, columns = matrix.shape
    levels, scales = quantized(matrix, BLOCK, unsigned=True)
    flat = Tensor("float32", (rows * columns // BLOCK,), as_type("float32", scales).data)
    return graph.node(
        "MatMulNBits",
        value,
        graph.constant(levels),
        graph.constant(flat),
        domain=CONTRIB,
        K=columns,
        N=rows,
        bits=8,
        block_size=BLOCK,
        accuracy_level=ACCURACY_LEVEL,
    )


MULTIPLY: dict[str, Multiply] = {"float32": as_float32, COMPACT: as_compact, INT8: as_int8}


class _Encoder:
    """Builds the graph, from the word embeddings to the output."""

    def __init__(self, folder: ModelFolder, tensors: SafeTensors, prefix: str, precision: str) -> None:
        self._folder = folder
        self._bert = folder.bert
        self._tensors = tensors
        self._prefix = prefix
        self._precision = precision
        self._graph = Graph(external_data=precision == COMPACT)
        self._ids = self._graph.input(IDS, "int64", ("texts", "tokens"))
        self._mask = self._graph.input(MASK, "int64", ("texts", "tokens"))

    def model(self) -> Model:
        graph = self._graph
        short_mask = graph.node("Cast", self._mask, to=INT32)
        state = self._embed()
        for index in range(self._bert.layers):
            state = self._layer(state, short_mask, f"encoder.layer.{index}")
        pooled = self._first(state) if self._folder.pooling == "cls" else self._mean(state)
        if self._folder.normalize:
            length = graph.node("ReduceL2", pooled, graph.constant(integers(1)), keepdims=1)
            pooled = graph.node("Div", pooled, graph.node("Max", length, self._scalar(MIN_NORM)))
        # Round to DECIMALS. float64, because float32 cannot hold the scaled values exactly.
        factor = graph.constant(number(10**DECIMALS, "float64"))
        scaled = graph.node("Round", graph.node("Mul", graph.node("Cast", pooled, to=FLOAT64), factor))
        graph.node("Div", scaled, factor, name=OUTPUT)
        graph.output(OUTPUT, "float64", ("texts", self._bert.hidden))
        return graph.model(PRODUCER, properties(self._folder))

    def _read(self, name: str) -> Tensor:
        return as_type("float32", self._tensors.read(self._prefix + name))

    def _constant(self, name: str) -> str:
        return self._graph.constant(self._read(name))

    def _scalar(self, value: float) -> str:
        return self._graph.constant(number(value))

    def _embed(self) -> str:
        graph = self._graph
        words = self._words()
        # All tokens have type 0, so its embedding can be added to the position embeddings in advance.
        places = self._read("embeddings.position_embeddings.weight")
        types = self._read("embeddings.token_type_embeddings.weight")
        table = graph.constant(added_row(places, self._folder.max_tokens, types))
        tokens = graph.node("Shape", self._ids, start=1, end=2)
        placed = graph.node("Add", words, graph.node("Slice", table, graph.constant(integers(0)), tokens))
        return self._norm(placed, "embeddings.LayerNorm")

    def _words(self) -> str:
        graph = self._graph
        table = self._read("embeddings.word_embeddings.weight")
        _, width = table.shape
        if self._precision == "float32" or width % BLOCK:
            return graph.node("Gather", graph.constant(table), self._ids)
        levels, scales = quantized(table, BLOCK)
        taken = graph.node("Cast", graph.node("Gather", graph.constant(levels), self._ids), to=FLOAT32)
        factors = graph.node("Cast", graph.node("Gather", graph.constant(scales), self._ids), to=FLOAT32)
        # From (texts, tokens, blocks, block) to (texts, tokens, width); 0 keeps a dimension.
        return graph.node("Reshape", graph.node("Mul", taken, factors), graph.constant(integers(0, 0, width)))

    def _norm(self, value: str, name: str) -> str:
        weight, bias = self._constant(f"{name}.weight"), self._constant(f"{name}.bias")
        return self._graph.node("LayerNormalization", value, weight, bias, axis=-1, epsilon=self._bert.epsilon)

    def _layer(self, state: str, mask: str, name: str) -> str:
        attended = self._attend(state, mask, f"{name}.attention.self")
        state = self._add_and_norm(attended, state, f"{name}.attention.output")
        inner = self._multiply(state, f"{name}.intermediate.dense")
        active = self._graph.node("BiasGelu", inner, self._constant(f"{name}.intermediate.dense.bias"), domain=CONTRIB)
        return self._add_and_norm(active, state, f"{name}.output")

    def _attend(self, state: str, mask: str, name: str) -> str:
        graph, heads = self._graph, self._bert.heads
        projections = [f"{name}.{part}" for part in ("query", "key", "value")]
        bias = graph.constant(concatenated([self._read(f"{part}.bias") for part in projections], axis=0))
        if self._precision == INT8:
            products = [self._multiply(state, part) for part in projections]
            return graph.node("MultiHeadAttention", *products, bias, mask, domain=CONTRIB, num_heads=heads)
        weight = concatenated([self._read(f"{part}.weight") for part in projections], axis=0)
        stored = compact(graph, weight) if self._precision == COMPACT else graph.constant(transposed(weight))
        return graph.node("Attention", state, stored, bias, mask, domain=CONTRIB, num_heads=heads)

    def _add_and_norm(self, value: str, state: str, name: str) -> str:
        return self._graph.node(
            "SkipLayerNormalization",
            self._multiply(value, f"{name}.dense"),
            state,
            self._constant(f"{name}.LayerNorm.weight"),
            self._constant(f"{name}.LayerNorm.bias"),
            self._constant(f"{name}.dense.bias"),
            domain=CONTRIB,
            epsilon=self._bert.epsilon,
        )

    def _multiply(self, value: str, name: str) -> str:
        return MULTIPLY[self._precision](self._graph, value, self._read(f"{name}.weight"))

    def _first(self, state: str) -> str:
        return self._graph.node("Gather", state, self._graph.constant(integer(0)), axis=1)

    def _mean(self, state: str) -> str:
        graph = self._graph
        weights = graph.node("Cast", self._mask, to=FLOAT32)
        # (texts, 1, tokens) x (texts, tokens, width): the sum over the unmasked tokens.
        middle = graph.constant(integers(1))
        total = graph.node("Squeeze", graph.node("MatMul", graph.node("Unsqueeze", weights, middle), state), middle)
        return graph.node("Div", total, graph.node("ReduceSum", weights, middle, keepdims=1))
