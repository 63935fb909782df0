"""Make a folder smaller and quicker to load: `python -m sutra_embedding.convert FROM TO`.

TO gets the descriptions and the tokenizer of the sentence-transformers folder FROM, and in place of
the weights an ONNX file and one of its data, with matrices in 16 bits and the table of words in 8. Only
the ONNX engine reads such a folder; it also reads FROM itself, in float32.
"""

import shutil
import sys
from pathlib import Path

from sutra_embedding import graph
from sutra_embedding.errors import ModelError
from sutra_embedding.folder import CONVERTED, TOKENIZER, inspect_folder, weights

# Whichever of these there are; the README holds the model's licence and origin.
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
    """Write the converted form of the folder `source` to `target`. Raises ModelError where it cannot be used."""
    folder = inspect_folder(source)
    model = graph.build(folder, *weights(folder), compact=True)
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
    """Convert; 1 when the folder cannot be used, 2 for a wrong call."""
    if len(arguments) != 2:  # noqa: PLR2004 - from and to
        print("say which folder to convert, and where to: python -m sutra_embedding.convert FROM TO", file=sys.stderr)
        return 2
    try:
        convert(*map(Path, arguments))
    except (ModelError, OSError) as error:
        print(f"cannot convert: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
