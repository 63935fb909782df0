"""Record the original image's output for the tiny checkpoint. Run it in that image:

    docker run --rm --read-only --tmpfs /tmp -v "$PWD/packages/sutra-nlg-service/tests:/tests:ro" --workdir /tests \
        sutra-nlg-service:latest python record_reference.py > packages/sutra-nlg-service/tests/data/reference.json
"""

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from support import tiny_checkpoint
from support.cases import ANSWER_TOKENS, CASES, PROMPTS, small_limits

from sutra_nlg.model import engine
from sutra_nlg.model.chat import Part
from sutra_nlg.model.generator import Generator
from sutra_nlg.requests import GenerateRequest
from sutra_nlg.work import Stop


def main() -> None:
    """Print the record as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        shape = tiny_checkpoint.Shape()
        tiny_checkpoint.write_safetensors(Path(folder), shape)
        model = engine.load(Path(folder), shape.context, 1)
        generator = Generator(model, small_limits(), "plain")
        record = {
            "checkpoint": tiny_checkpoint.digest(tiny_checkpoint.weights(shape)),
            "made_with": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
            "prompts": [_continue(model, prompt) for prompt in PROMPTS],
            "replies": [
                generator.answer(GenerateRequest.model_validate(case), Stop()).model_dump(mode="json") for case in CASES
            ],
        }
    json.dump(record, sys.stdout, ensure_ascii=False, indent=1)
    print()


def _continue(model: engine.Engine, prompt: str) -> dict[str, object]:
    tokens = model.tokenize([Part(prompt)])
    said: list[int] = []
    for token in model.generate(tokens, Stop()):
        said.append(token)
        if len(said) == ANSWER_TOKENS:
            break
    return {"prompt": prompt, "tokens": tokens, "said": said, "text": model.text(said)}


if __name__ == "__main__":
    main()
