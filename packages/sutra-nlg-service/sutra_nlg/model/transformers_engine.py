"""The transformers engine: runs safetensors checkpoints on the CPU with torch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from sutra_service import processors
from sutra_service.readiness import StartError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from sutra_nlg.model.chat import Part
from sutra_nlg.work import Stop

BATCH_TOKENS = 512


class TransformersEngine:
    """A checkpoint in transformers' format. Not thread-safe."""

    name = "transformers"

    def __init__(self, folder: Path, context: int, threads: int) -> None:
        disable_progress_bar()
        torch.set_num_threads(threads or processors.usable())
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, loading = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype="auto", output_loading_info=True
            )
        except Exception as error:
            # A damaged file can raise anything, even a panic of the tokenizer.
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:600]
            raise StartError(f"cannot load {folder}: {reason}; replace it with a complete checkpoint") from error
        # transformers would initialize missing tensors at random.
        missing = sorted({*loading["missing_keys"], *(str(key) for key in loading["mismatched_keys"])})
        if missing:
            names = ", ".join(missing[:3])
            raise StartError(
                f"{folder} is missing {len(missing)} tensors ({names}); replace it with a complete checkpoint"
            )
        self._model: Any = model.eval()
        self.architecture = str(config.model_type)
        self.context = min(context, getattr(config, "max_position_embeddings", None) or context)
        ends = model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}

    def tokenize(self, parts: Sequence[Part]) -> list[int]:
        """See Engine."""
        tokens: list[int] = []
        for index, part in enumerate(parts):
            encoded = self._tokenizer(
                part.text, add_special_tokens=index == 0, split_special_tokens=not part.control, verbose=False
            )
            tokens.extend(encoded["input_ids"])
        return tokens

    def generate(self, tokens: Sequence[int], stop: Stop) -> Iterator[int]:
        """See Engine."""
        cache = None
        step = list(tokens)
        with torch.inference_mode():
            for _ in range(self.context - len(tokens)):
                for start in range(0, len(step), BATCH_TOKENS):
                    stop.check()
                    batch = torch.tensor([step[start : start + BATCH_TOKENS]])
                    output = self._model(input_ids=batch, past_key_values=cache, use_cache=True)
                    cache = output.past_key_values
                token = int(output.logits[0, -1].argmax())
                if token in self._ends:
                    return
                yield token
                step = [token]

    def text(self, tokens: Sequence[int]) -> str:
        """See Engine."""
        return self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
