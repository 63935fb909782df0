"""Reads safetensors files: the header first, then single tensors."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sutra_embedding.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
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
        if entry.kind not in ITEM_BYTES:
            known = ", ".join(ITEM_BYTES)
            raise ModelError(f"{self.path}: unsupported type of {name}: {entry.kind}; save the model as one of {known}")

    def read(self, name: str) -> "NDArray[np.float32]":
        """Read a tensor as float32."""
        import numpy as np  # noqa: PLC0415 - not needed to validate a folder

        entry = self.entries[name]
        with self.path.open("rb") as file:
            file.seek(entry.start)
            data = file.read(entry.end - entry.start)
        if entry.kind == "BF16":
            # bfloat16 is the upper half of a float32.
            values = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        else:
            values = np.frombuffer(data, {"F32": "<f4", "F16": "<f2"}[entry.kind])
        return values.astype(np.float32, copy=False).reshape(entry.shape)


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
    item = ITEM_BYTES.get(entry.kind)
    if not 0 <= start <= end or (item is not None and end - start != item * math.prod(entry.shape)):
        raise ValueError(f"bytes {start} to {end} do not fit {entry.kind}{list(entry.shape)}")
    return entry
