"""Compares the image's model with the reference, using the image's interpreter.

Runs without a test framework, which the image does not have. Fails the build if a package, file or operator is missing.
"""

import sys

sys.path.insert(0, "/usr/local/lib/python3.13/dist-packages")

from pathlib import Path

from reference import cosine, vector
from sentences import SENTENCES

from sutra_embedding.application import DEFAULT_MODEL
from sutra_embedding.encoder import split
from sutra_embedding.engines import load

LEAST_COSINE = 0.9995


def main() -> int:
    """Embed every sentence. Returns 1 if any vector differs from the reference."""
    encoder = load(Path(DEFAULT_MODEL), "onnx", 1)
    found = {}
    for name, text in SENTENCES.items():
        (batch,) = split(encoder.tokenize([text]))
        found[name] = cosine(encoder.run(batch)[0], vector(name))
    worst = min(found, key=found.__getitem__)
    print(f"{len(found)} sentences, minimum cosine {found[worst]:.6f} for {worst!r}")
    return 0 if found[worst] >= LEAST_COSINE else 1


if __name__ == "__main__":
    sys.exit(main())
