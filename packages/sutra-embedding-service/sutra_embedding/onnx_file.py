"""Writes ONNX models: the few message types that a graph of ours needs, in protobuf's wire format.

The `onnx` package would add 30 MB to an image for this. The tests hold what is written here against
its checker. Field numbers are those of onnx.proto3.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

type Array = NDArray[Any]
type Attribute = int | float | Sequence[int]
type Shape = Sequence[int | str]

IR_VERSION = 10
OPSET = 20
CONTRIB = "com.microsoft"
ELEMENT_TYPES = {"float32": 1, "int8": 3, "int64": 7, "float16": 10}
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS = 1, 2, 7
# Protobuf holds a message of at most this size, so a model's weights have to be smaller.
MAX_BYTES = 2**31 - 1
# Smaller constants stay in the model; larger ones begin at a page of their own, as ONNX Runtime maps them.
APART_BYTES = 4096
ELSEWHERE = 1


@dataclass(frozen=True)
class Model:
    """A ModelProto, and the content of the file beside it that holds its large constants, where they are kept apart."""

    proto: bytes
    data: bytes
    data_name: str


class Graph:
    """A graph that grows node by node. Names of values are given out here unless the caller gives one.

    With `apart`, large constants go to a file of their own, which a runtime maps into memory: what is never looked at
    takes none.
    """

    def __init__(self, *, apart: bool) -> None:
        self._apart = apart
        self._nodes: list[bytes] = []
        # What comes before an initializer's data, and the data.
        self._initializers: list[tuple[bytes, bytes]] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._values = 0

    def input(self, name: str, kind: str, shape: Shape) -> str:
        """Declare an input; a dimension given as a name may be of any size."""
        self._inputs.append(_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: str, shape: Shape) -> None:
        """Declare that the value `name` is an output."""
        self._outputs.append(_value_info(name, kind, shape))

    def constant(self, array: Array) -> str:
        """A constant tensor of one of ELEMENT_TYPES; its name."""
        name = self._name()
        # Not ascontiguousarray: that makes a scalar an array of one.
        data = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes()
        dims = b"".join(_integer(1, size) for size in array.shape)
        kind = _integer(2, ELEMENT_TYPES[array.dtype.name])
        self._initializers.append((dims + kind + _text(8, name), data))
        return name

    def node(self, operator: str, *inputs: str, name: str = "", domain: str = "", **attributes: Attribute) -> str:
        """Apply `operator` to values; the name of its output, `name` if given."""
        output = name or self._name()
        content = [_text(1, value) for value in inputs]
        content += [_text(2, output), _text(3, f"{operator}_{output}"), _text(4, operator)]
        content += [_bytes(5, _attribute(key, value)) for key, value in attributes.items()]
        if domain:
            content.append(_text(7, domain))
        self._nodes.append(b"".join(content))
        return output

    def model(self, producer: str, properties: Mapping[str, str]) -> Model:
        """The whole. Raises ValueError where the ModelProto is larger than protobuf allows."""
        data, data_name, tensors = self._tensors(producer)
        graph = [_bytes(1, node) for node in self._nodes]
        graph.append(_text(2, producer))
        graph += [_bytes(5, tensor) for tensor in tensors]
        graph += [_bytes(11, value) for value in self._inputs]
        graph += [_bytes(12, value) for value in self._outputs]
        size = sum(map(len, graph))
        if size > MAX_BYTES:
            raise ValueError(f"the model has {size} bytes, and an ONNX file holds at most {MAX_BYTES}")
        content = [_integer(1, IR_VERSION), _text(2, producer), _bytes(7, b"".join(graph))]
        content += [
            _bytes(8, _text(1, domain) + _integer(2, version)) for domain, version in (("", OPSET), (CONTRIB, 1))
        ]
        content += [_bytes(14, _text(1, key) + _text(2, value)) for key, value in properties.items()]
        return Model(b"".join(content), data, data_name)

    def _tensors(self, producer: str) -> tuple[bytes, str, list[bytes]]:
        """The content and the name of the file beside the model, both empty where there is none, and TensorProtos."""
        places: list[tuple[int, int] | None] = []
        apart = bytearray()
        for _, data in self._initializers:
            if not self._apart or len(data) < APART_BYTES:
                places.append(None)
                continue
            apart += bytes(-len(apart) % APART_BYTES)
            places.append((len(apart), len(data)))
            apart += data
        # Named after what it holds: another model's file is never taken for this one's.
        name = f"{producer}.{hashlib.sha256(apart).hexdigest()[:16]}.data" if apart else ""
        tensors = [
            head + (_bytes(9, data) if place is None else _elsewhere(name, *place))
            for (head, data), place in zip(self._initializers, places, strict=True)
        ]
        return bytes(apart), name, tensors

    def _name(self) -> str:
        self._values += 1
        return f"v{self._values}"


def _value_info(name: str, kind: str, shape: Shape) -> bytes:
    dimensions = (_text(2, size) if isinstance(size, str) else _integer(1, size) for size in shape)
    tensor = _integer(1, ELEMENT_TYPES[kind]) + _bytes(2, b"".join(_bytes(1, size) for size in dimensions))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _elsewhere(file: str, offset: int, length: int) -> bytes:
    facts = {"location": file, "offset": str(offset), "length": str(length)}
    entries = (_bytes(13, _text(1, key) + _text(2, value)) for key, value in facts.items())
    return b"".join(entries) + _integer(14, ELSEWHERE)


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
    # A negative number is written as its two's complement of 64 bits.
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:  # noqa: PLR2004 - seven bits a byte
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
