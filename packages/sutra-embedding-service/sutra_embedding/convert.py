"""Make a model folder smaller and faster to load: `python -m sutra_embedding.convert FROM TO`.

Copies the configuration and tokenizer of the sentence-transformers folder FROM to TO. Replaces the
weights with an ONNX file and its external data, in 8 bits. Only the
ONNX engine can read the result; it can also read FROM, in float32.
"""

import shutil
import sys
from pathlib import Path

from sutra_embedding import graph
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import CONVERTED, TOKENIZER, inspect_folder, weights

# Copied if they exist. The README states the model's licence and origin.
KEPT = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    TOKENIZER,
    "README.md",
    "LICENSE",
)


def convert(source: Path, target: Path) -> None:
    """Convert the folder `source` to `target`. Raises ModelError if it cannot be used."""
    folder = inspect_folder(source)
    model = graph.build(folder, *weights(folder), graph.COMPACT)
    target.mkdir(parents=True, exist_ok=True)
    for file in [source / name for name in KEPT] + sorted(source.glob("*/config.json")):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, copy)
    if model.data:
        (target / model.data_name).write_bytes(model.data)
    (target / CONVERTED).write_bytes(model.proto)


def main(arguments: list[str]) -> int:
    """Convert a folder. Returns the exit code: 0 done, 1 the folder cannot be used, 2 wrong usage."""
    if len(arguments) != 2:  # noqa: PLR2004 - from and to
        print("usage: python -m sutra_embedding.convert FROM TO", file=sys.stderr)
        return 2
    try:
        convert(*map(Path, arguments))
    except (ModelError, OSError) as error:
        print(f"cannot convert: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
