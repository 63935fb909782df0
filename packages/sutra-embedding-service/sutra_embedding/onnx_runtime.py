"""ONNX Runtime through its C API: loads models and runs them.

ONNX Runtime's Python module needs numpy, which would add at least 12 MB to the image. The package also contains the
C library. The C API is a table of functions in a fixed order; newer versions only append (onnxruntime_c_api.h, OrtApi).
"""

import ctypes
import functools
import math
from collections.abc import Callable, Mapping
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sutra_embedding.errors import ModelError
from sutra_embedding.tensors import ITEM_BYTES, ONNX_TYPES, Tensor

# Has all functions below; newer libraries still offer it.
API_VERSION = 4
LIBRARY = "libonnxruntime.so"
ERRORS_ONLY = 3
DEVICE_ALLOCATOR, DEFAULT_MEMORY = 0, 0
TYPE_NAMES = {number: name for name, number in ONNX_TYPES.items()}

_GET_API = 0
# Each function: its index in the table and its arguments. It returns a status, which is null on success.
_STATUS_FUNCTIONS: dict[str, tuple[int, list[Any]]] = {
    "CreateEnv": (3, [c_int, c_char_p, POINTER(c_void_p)]),
    "CreateSession": (7, [c_void_p, c_char_p, c_void_p, POINTER(c_void_p)]),
    "CreateSessionFromArray": (8, [c_void_p, c_void_p, c_size_t, c_void_p, POINTER(c_void_p)]),
    "Run": (
        9,
        [
            *(c_void_p, c_void_p, POINTER(c_char_p), POINTER(c_void_p), c_size_t),
            *(POINTER(c_char_p), c_size_t, POINTER(c_void_p)),
        ],
    ),
    "CreateSessionOptions": (10, [POINTER(c_void_p)]),
    "DisableMemPattern": (17, [c_void_p]),
    "DisableCpuMemArena": (19, [c_void_p]),
    "SetSessionLogSeverityLevel": (22, [c_void_p, c_int]),
    "SetIntraOpNumThreads": (24, [c_void_p, c_int]),
    "SetInterOpNumThreads": (25, [c_void_p, c_int]),
    "CreateTensorWithDataAsOrtValue": (
        49,
        [c_void_p, c_void_p, c_size_t, POINTER(c_int64), c_size_t, c_int, POINTER(c_void_p)],
    ),
    "GetTensorMutableData": (51, [c_void_p, POINTER(c_void_p)]),
    "GetTensorElementType": (60, [c_void_p, POINTER(c_int)]),
    "GetDimensionsCount": (61, [c_void_p, POINTER(c_size_t)]),
    "GetDimensions": (62, [c_void_p, POINTER(c_int64), c_size_t]),
    "GetTensorTypeAndShape": (65, [c_void_p, POINTER(c_void_p)]),
    "CreateCpuMemoryInfo": (69, [c_int, c_int, POINTER(c_void_p)]),
    "AllocatorFree": (76, [c_void_p, c_void_p]),
    "GetAllocatorWithDefaultOptions": (78, [POINTER(c_void_p)]),
    "SessionGetModelMetadata": (111, [c_void_p, POINTER(c_void_p)]),
    "ModelMetadataLookupCustomMetadataMap": (116, [c_void_p, c_void_p, c_char_p, POINTER(c_void_p)]),
}
_GET_ERROR_MESSAGE = 2
_RELEASES = {
    "Status": 93,
    "Session": 95,
    "Value": 96,
    "TensorTypeAndShapeInfo": 99,
    "SessionOptions": 100,
    "ModelMetadata": 118,
}


class OnnxRuntimeError(Exception):
    """An error from ONNX Runtime, with its message."""


class Session:
    """A loaded model. `model` is the path or the content of an ONNX file.

    Raises ModelError if the library is missing or unusable, and OnnxRuntimeError if it cannot load the model.
    """

    def __init__(self, model: Path | bytes, threads: int) -> None:
        self._library = library()
        self._session = c_void_p()
        options = self._library.made("CreateSessionOptions")
        call = self._library.call
        try:
            call("SetIntraOpNumThreads", options, threads)
            # Batches run one at a time and vary in shape. Memory is not cached: an idle service would keep as much as
            # the largest batch ever needed.
            call("SetInterOpNumThreads", options, 1)
            call("DisableMemPattern", options)
            call("DisableCpuMemArena", options)
            call("SetSessionLogSeverityLevel", options, ERRORS_ONLY)
            environment = self._library.environment
            if isinstance(model, bytes):
                call("CreateSessionFromArray", environment, model, len(model), options, byref(self._session))
            else:
                call("CreateSession", environment, bytes(model), options, byref(self._session))
        finally:
            self._library.release("SessionOptions", options)

    def __del__(self) -> None:
        """Free the model's memory."""
        if getattr(self, "_session", None):
            self._library.release("Session", self._session)

    def run(self, inputs: Mapping[str, Tensor], output: str) -> Tensor:
        """Compute one output. Raises OnnxRuntimeError if the inputs do not fit the model."""
        values = (c_void_p * len(inputs))()
        result = c_void_p()
        try:
            for index, tensor in enumerate(inputs.values()):
                values[index] = self._library.value(tensor).value
            names = (c_char_p * len(inputs))(*(name.encode() for name in inputs))
            wanted = (c_char_p * 1)(output.encode())
            self._library.call("Run", self._session, None, names, values, len(inputs), wanted, 1, byref(result))
            return self._library.tensor(result)
        finally:
            for value in (*values, result.value):
                if value:
                    self._library.release("Value", c_void_p(value))

    def property(self, name: str) -> str | None:
        """Read a property from the model's metadata; None if it is missing."""
        metadata = self._library.made("SessionGetModelMetadata", self._session)
        try:
            allocator = self._library.allocator
            found = self._library.made("ModelMetadataLookupCustomMetadataMap", metadata, allocator, name.encode())
            if not found:
                return None
            try:
                return ctypes.string_at(found).decode(errors="replace")
            finally:
                self._library.call("AllocatorFree", allocator, found)
        finally:
            self._library.release("ModelMetadata", metadata)


class Library:
    """The loaded C library. Raises ModelError if it cannot be loaded or lacks API_VERSION."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            base = ctypes.CDLL(str(path)).OrtGetApiBase
        except (OSError, AttributeError) as error:
            raise ModelError(f"cannot load ONNX Runtime: {error}; install the package onnxruntime again") from None
        base.restype = POINTER(c_void_p)
        get_api = ctypes.CFUNCTYPE(c_void_p, ctypes.c_uint32)(base()[_GET_API])
        api = get_api(API_VERSION)
        if not api:
            raise ModelError(
                f"{path} does not support API version {API_VERSION}; install another version of onnxruntime"
            )
        table = ctypes.cast(api, POINTER(c_void_p))
        self._error_message = ctypes.CFUNCTYPE(c_char_p, c_void_p)(table[_GET_ERROR_MESSAGE])
        self._functions: dict[str, Callable[..., int | None]] = {
            name: ctypes.CFUNCTYPE(c_void_p, *arguments)(table[place])
            for name, (place, arguments) in _STATUS_FUNCTIONS.items()
        }
        self._releases = {name: ctypes.CFUNCTYPE(None, c_void_p)(table[place]) for name, place in _RELEASES.items()}
        self.environment = self.made("CreateEnv", ERRORS_ONLY, b"sutra")
        self.allocator = self.made("GetAllocatorWithDefaultOptions")
        self._memory = self.made("CreateCpuMemoryInfo", DEVICE_ALLOCATOR, DEFAULT_MEMORY)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status. Raises OnnxRuntimeError with the library's message."""
        status = self._functions[name](*arguments)
        if status:
            message = self._error_message(status).decode(errors="replace")
            self.release("Status", c_void_p(status))
            raise OnnxRuntimeError(message)

    def made(self, name: str, *arguments: Any) -> c_void_p:
        """Call a function that stores its result through its last argument; return the result."""
        result = c_void_p()
        self.call(name, *arguments, byref(result))
        return result

    def release(self, kind: str, thing: c_void_p) -> None:
        """Free an object of the library."""
        self._releases[kind](thing)

    def value(self, tensor: Tensor) -> c_void_p:
        """Wrap a tensor without copying. The tensor must outlive the result."""
        shape = (c_int64 * len(tensor.shape))(*tensor.shape)
        place = ctypes.cast(c_char_p(tensor.data), c_void_p)
        kind = ONNX_TYPES[tensor.kind]
        arguments = (self._memory, place, len(tensor.data), shape, len(tensor.shape), kind)
        return self.made("CreateTensorWithDataAsOrtValue", *arguments)

    def tensor(self, value: c_void_p) -> Tensor:
        """Copy a value into a tensor."""
        facts = self.made("GetTensorTypeAndShape", value)
        try:
            number, count = c_int(), c_size_t()
            self.call("GetTensorElementType", facts, byref(number))
            self.call("GetDimensionsCount", facts, byref(count))
            sizes = (c_int64 * count.value)()
            self.call("GetDimensions", facts, sizes, count.value)
        finally:
            self.release("TensorTypeAndShapeInfo", facts)
        kind, shape = TYPE_NAMES.get(number.value), tuple(sizes)
        if kind is None:
            raise OnnxRuntimeError(f"unsupported type of an output: {number.value}")
        data = self.made("GetTensorMutableData", value)
        length = ITEM_BYTES[kind] * math.prod(shape)
        return Tensor(kind, shape, ctypes.string_at(data, length) if length else b"")


@functools.cache
def library() -> Library:
    """Load the installed library once. Raises ModelError if it cannot be used."""
    found = find_spec("onnxruntime")
    folders = (found and found.submodule_search_locations) or ()
    files = [file for folder in folders for file in sorted(Path(folder, "capi").glob(f"{LIBRARY}*"))]
    if not files:
        raise ModelError("ONNX Runtime is not installed; install the package onnxruntime, or use engine torch")
    return Library(files[0])
