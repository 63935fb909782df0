"""Writes ONNX models: the message types that our graph needs, in protobuf's wire format.

The `onnx` package would add 30 MB to the image; the tests use its checker to validate the files.
Field numbers are from onnx.proto3.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sutra_embedding.tensors import ONNX_TYPES, Tensor

type Attribute = int | float | Sequence[int]
type Shape = Sequence[int | str]

IR_VERSION = 10
OPSET = 20
CONTRIB = "com.microsoft"
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS = 1, 2, 7
# Protobuf's limit on the size of a message.
MAX_BYTES = 2**31 - 1
# Smaller constants stay in the model. Larger ones are aligned to pages, because ONNX Runtime maps them into memory.
EXTERNAL_BYTES = 4096
EXTERNAL = 1


@dataclass(frozen=True)
class Model:
    """A serialized ModelProto, and the name and content of its external data file; both are empty if there is none."""

    proto: bytes
    data: bytes
    data_name: str


class Graph:
    """Builds a graph node by node. Values get generated names unless the caller names them.

    With `external_data`, large constants go to a separate file that runtimes map into memory, so that unused parts take
    no memory.
    """

    def __init__(self, *, external_data: bool) -> None:
        self._external_data = external_data
        self._nodes: list[bytes] = []
        # The header and the data of each initializer.
        self._initializers: list[tuple[bytes, bytes]] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._values = 0

    def input(self, name: str, kind: str, shape: Shape) -> str:
        """Declare an input. Named dimensions can have any size."""
        self._inputs.append(_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: str, shape: Shape | None = None) -> None:
        """Declare the value `name` as an output. Without a shape, ONNX Runtime infers it."""
        self._outputs.append(_value_info(name, kind, shape))

    def constant(self, tensor: Tensor) -> str:
        """Add a constant; returns its name."""
        name = self._name()
        dims = b"".join(_integer(1, size) for size in tensor.shape)
        kind = _integer(2, ONNX_TYPES[tensor.kind])
        self._initializers.append((dims + kind + _text(8, name), tensor.data))
        return name

    def node(self, operator: str, *inputs: str, name: str = "", domain: str = "", **attributes: Attribute) -> str:
        """Add a node that applies `operator` to `inputs`; returns the name of its output."""
        output = name or self._name()
        content = [_text(1, value) for value in inputs]
        content += [_text(2, output), _text(3, f"{operator}_{output}"), _text(4, operator)]
        content += [_bytes(5, _attribute(key, value)) for key, value in attributes.items()]
        if domain:
            content.append(_text(7, domain))
        self._nodes.append(b"".join(content))
        return output

    def model(self, producer: str, properties: Mapping[str, str]) -> Model:
        """Serialize the model. Raises ValueError if it exceeds protobuf's size limit."""
        data, data_name, tensors = self._tensors(producer)
        graph = [_bytes(1, node) for node in self._nodes]
        graph.append(_text(2, producer))
        graph += [_bytes(5, tensor) for tensor in tensors]
        graph += [_bytes(11, value) for value in self._inputs]
        graph += [_bytes(12, value) for value in self._outputs]
        size = sum(map(len, graph))
        if size > MAX_BYTES:
            raise ValueError(f"the model has {size} bytes, but an ONNX file can have at most {MAX_BYTES}")
        content = [_integer(1, IR_VERSION), _text(2, producer), _bytes(7, b"".join(graph))]
        content += [
            _bytes(8, _text(1, domain) + _integer(2, version)) for domain, version in (("", OPSET), (CONTRIB, 1))
        ]
        content += [_bytes(14, _text(1, key) + _text(2, value)) for key, value in properties.items()]
        return Model(b"".join(content), data, data_name)

    def _tensors(self, producer: str) -> tuple[bytes, str, list[bytes]]:
        """The content and name of the external data file, both empty if there is none, and the TensorProtos."""
        places: list[tuple[int, int] | None] = []
        external = bytearray()
        for _, data in self._initializers:
            if not self._external_data or len(data) < EXTERNAL_BYTES:
                places.append(None)
                continue
            external += bytes(-len(external) % EXTERNAL_BYTES)
            places.append((len(external), len(data)))
            external += data
        # The name contains a hash, so that a model never uses another model's data.
        name = f"{producer}.{hashlib.sha256(external).hexdigest()[:16]}.data" if external else ""
        tensors = [
            head + (_bytes(9, data) if place is None else _external_fields(name, *place))
            for (head, data), place in zip(self._initializers, places, strict=True)
        ]
        return bytes(external), name, tensors

    def _name(self) -> str:
        self._values += 1
        return f"v{self._values}"


def _value_info(name: str, kind: str, shape: Shape | None) -> bytes:
    tensor = _integer(1, ONNX_TYPES[kind])
    if shape is not None:
        dimensions = (_text(2, size) if isinstance(size, str) else _integer(1, size) for size in shape)
        tensor += _bytes(2, b"".join(_bytes(1, size) for size in dimensions))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _external_fields(file: str, offset: int, length: int) -> bytes:
    facts = {"location": file, "offset": str(offset), "length": str(length)}
    entries = (_bytes(13, _text(1, key) + _text(2, value)) for key, value in facts.items())
    return b"".join(entries) + _integer(14, EXTERNAL)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _tag(2, 5) + struct.pack("<f", value) + _integer(20, ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return _text(1, name) + _integer(3, value) + _integer(20, ATTRIBUTE_INT)
    return _text(1, name) + b"".join(_integer(8, item) for item in value) + _integer(20, ATTRIBUTE_INTS)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(value)) + value


def _integer(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    # Negative numbers are encoded as 64-bit two's complement.
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:  # noqa: PLR2004 - seven bits per byte
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
