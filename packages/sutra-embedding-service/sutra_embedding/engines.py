"""Chooses the engine and loads a model with it."""

from pathlib import Path

from sutra_embedding.encoder import Encoder
from sutra_embedding.folder import inspect_folder

ENGINES = ("onnx", "torch")
# Of the matrices in memory, for a folder that is not converted.
PRECISIONS = ("float32", "int8")


def load(path: Path, engine: str, threads: int, precision: str = "float32") -> Encoder:
    """Check the folder at `path` and load its model, which computes with `threads` threads. Only onnx has int8.

    Raises ModelError if the folder cannot be used.
    """
    folder = inspect_folder(path)
    # Imported late: each image contains only one of the two engines.
    if engine == "torch":
        from sutra_embedding.torch_encoder import TorchEncoder  # noqa: PLC0415

        return TorchEncoder(folder, threads)
    from sutra_embedding.onnx_encoder import OnnxEncoder  # noqa: PLC0415

    return OnnxEncoder(folder, threads, precision)
