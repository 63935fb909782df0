"""Reads safetensors files: the header first, then single tensors."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sutra_embedding.errors import ModelError
from sutra_embedding.tensors import ITEM_BYTES, Tensor

KINDS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
LENGTH_BYTES = 8
# The limit in the format's specification; guards against reading another file type as a huge header.
MAX_HEADER_BYTES = 100_000_000
REMEDY = "copy the file again"


@dataclass(frozen=True)
class Entry:
    """A tensor in the file, from byte `start` to `end`."""

    kind: str
    shape: tuple[int, ...]
    start: int
    end: int


class SafeTensors:
    """The tensors of one file, by name. Raises ModelError for a damaged or truncated file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = _entries(path)

    def require(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise ModelError unless there is a tensor `name` with `shape` and a supported type."""
        entry = self.entries.get(name)
        if entry is None:
            raise ModelError(f"{self.path} has no tensor {name}; use this file and config.json from the same model")
        if entry.shape != shape:
            message = f"{self.path}: {name} has shape {list(entry.shape)}, but config.json says {list(shape)}"
            raise ModelError(f"{message}; use both files from the same model")
        if entry.kind not in KINDS:
            known = ", ".join(KINDS)
            raise ModelError(f"{self.path}: unsupported type of {name}: {entry.kind}; save the model as one of {known}")

    def read(self, name: str) -> Tensor:
        """Read a tensor, in the type that it is stored in."""
        entry = self.entries[name]
        with self.path.open("rb") as file:
            file.seek(entry.start)
            return Tensor(KINDS[entry.kind], entry.shape, file.read(entry.end - entry.start))


def _entries(path: Path) -> dict[str, Entry]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if not 0 < length <= min(size - LENGTH_BYTES, MAX_HEADER_BYTES):
                raise ModelError(f"{path} is truncated or not a safetensors file: it has {size} bytes; {REMEDY}")
            header = json.loads(file.read(length))
        entries = {
            name: _entry(facts, LENGTH_BYTES + length) for name, facts in header.items() if name != "__metadata__"
        }
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror}; mount the whole folder, readable by everyone"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} has a damaged header ({error}); {REMEDY}") from None
    end = max((entry.end for entry in entries.values()), default=LENGTH_BYTES + length)
    if end != size:
        raise ModelError(f"{path} has the wrong size: {size} bytes, but its header says {end}; {REMEDY}")
    return entries


def _entry(facts: dict[str, Any], offset: int) -> Entry:
    start, end = facts["data_offsets"]
    entry = Entry(str(facts["dtype"]), tuple(facts["shape"]), offset + start, offset + end)
    item = ITEM_BYTES[KINDS[entry.kind]] if entry.kind in KINDS else None
    if not 0 <= start <= end or (item is not None and end - start != item * math.prod(entry.shape)):
        raise ValueError(f"bytes {start} to {end} do not fit {entry.kind}{list(entry.shape)}")
    return entry
