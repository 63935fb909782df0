"""The llama.cpp engine: runs GGUF checkpoints, quantized or not, on the CPU."""

import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

# Only the low-level API: the high-level one imports numpy, jinja2 and diskcache.
import llama_cpp.llama_cpp as api
from sutra_service import processors
from sutra_service.readiness import StartError

from sutra_nlg.model.chat import Part
from sutra_nlg.work import Stop, Stopped

logger = getLogger(__name__)

BATCH_TOKENS = 512
PIECE_BYTES = 256
ABORTED = 2
ERROR_LEVEL = 4
ALL_F32 = "0"
FIRST_OF_SPLIT = re.compile(r"-00001-of-\d{5}\.gguf$")
SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


class LlamaCppEngine:
    """A GGUF checkpoint. Not thread-safe."""

    name = "llama.cpp"

    def __init__(self, folder: Path, context: int, threads: int) -> None:
        file = checkpoint_in(folder)
        errors = _ErrorLog()
        load_backend()
        self._model = api.llama_model_load_from_file(os.fsencode(file), api.llama_model_default_params())
        if not self._model:
            raise StartError(f"cannot load {file}: {errors.text()}; replace it with a complete checkpoint")
        self._vocab = api.llama_model_get_vocab(self._model)
        self.architecture = self._metadata(b"general.architecture")
        self.context = min(context, api.llama_model_n_ctx_train(self._model) or context)
        self._context = self._new_context(threads or processors.usable())
        # Encoders such as BERT have no memory.
        memory = api.llama_get_memory(self._context) if self._context else None
        if not memory or api.llama_model_has_encoder(self._model):
            raise StartError(
                f"cannot use {file}: architecture {self.architecture!r} does not generate text "
                f"({errors.text()}); use a causal language model"
            )
        self._memory = memory
        self._greedy = api.llama_sampler_init_greedy()
        self._errors = errors

    def tokenize(self, parts: Sequence[Part]) -> list[int]:
        """See Engine."""
        tokens: list[int] = []
        for index, part in enumerate(parts):
            tokens.extend(self._tokens(part.text.encode(), index == 0, part.control))
        return tokens

    def generate(self, tokens: Sequence[int], stop: Stop) -> Iterator[int]:
        """See Engine."""
        api.llama_memory_clear(self._memory, True)
        # llama.cpp calls this between parts of its computation; keep a reference until it is done.
        abort = api.ggml_abort_callback(lambda _data: stop.requested)
        api.llama_set_abort_callback(self._context, abort, None)
        try:
            for start in range(0, len(tokens), BATCH_TOKENS):
                self._decode(tokens[start : start + BATCH_TOKENS], stop)
            for _ in range(self.context - len(tokens)):
                token = api.llama_sampler_sample(self._greedy, self._context, -1)
                if api.llama_vocab_is_eog(self._vocab, token):
                    return
                yield token
                self._decode([token], stop)
        finally:
            api.llama_set_abort_callback(self._context, api.ggml_abort_callback(), None)

    def text(self, tokens: Sequence[int]) -> str:
        """See Engine."""
        # A character may span several tokens, so join the bytes before decoding.
        return b"".join(self._piece(token) for token in tokens).decode(errors="replace")

    def _new_context(self, threads: int) -> Any:
        params = api.llama_context_default_params()
        params.n_ctx = self.context
        params.n_batch = BATCH_TOKENS
        params.n_threads = params.n_threads_batch = threads
        # Keep the precision of float32 weights: the cache and flash attention would use 16 bits.
        if self._metadata(b"general.file_type") == ALL_F32:
            params.type_k = params.type_v = api.GGML_TYPE_F32
            params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return api.llama_init_from_model(self._model, params)

    def _decode(self, tokens: Sequence[int], stop: Stop) -> None:
        stop.check()
        array = (api.llama_token * len(tokens))(*tokens)
        status = api.llama_decode(self._context, api.llama_batch_get_one(array, len(tokens)))
        if status == ABORTED:
            raise Stopped
        if status:
            raise RuntimeError(f"llama.cpp failed to decode (status {status}): {self._errors.text()}")

    def _tokens(self, text: bytes, begin: bool, control: bool) -> list[int]:
        # At most one token per byte, plus special tokens at the start and end.
        most = len(text) + 8
        array = (api.llama_token * most)()
        count = api.llama_tokenize(self._vocab, text, len(text), array, most, begin, control)
        if count < 0:
            raise RuntimeError(f"llama.cpp failed to tokenize {len(text)} bytes (status {count})")
        return array[:count]

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        length = api.llama_token_to_piece(self._vocab, token, buffer, PIECE_BYTES, 0, False)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = api.llama_token_to_piece(self._vocab, token, buffer, -length, 0, False)
        return buffer.raw[:length]

    def _metadata(self, key: bytes) -> str:
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        length = api.llama_model_meta_val_str(self._model, key, buffer, PIECE_BYTES)
        return buffer.value.decode(errors="replace") if length >= 0 else "unknown"


def checkpoint_in(folder: Path) -> Path:
    """The GGUF checkpoint in `folder`, or its first part. Raises StartError unless there is exactly one."""
    files = sorted(folder.glob("*.gguf"))
    wholes = [file for file in files if FIRST_OF_SPLIT.search(file.name) or not SPLIT.search(file.name)]
    if len(wholes) == 1:
        return wholes[0]
    if wholes:
        names = ", ".join(file.name for file in wholes)
        raise StartError(f"{folder} has {len(wholes)} checkpoints ({names}); keep only the one to use")
    raise StartError(f"{folder} has no complete *.gguf file, which this image needs; add one")


def load_backend() -> None:
    """Let ggml load the best of its CPU backends for this processor."""
    library = Path(api._lib._name).parent
    ggml = ctypes.CDLL(str(library / "libggml.so"))
    ggml.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
    ggml.ggml_backend_load_all_from_path.restype = None
    ggml.ggml_backend_load_all_from_path(os.fsencode(library))
    api.llama_backend_init()


class _ErrorLog:
    """Collects llama.cpp's latest error messages, and forwards all its messages to our log at level debug."""

    KEPT = 3
    # Keeps the callback alive, to which the library has only a pointer.
    _registered: Any = None

    def __init__(self) -> None:
        self._lines: list[str] = []
        callback = api.llama_log_callback(self._take)
        api.llama_log_set(callback, None)
        _ErrorLog._registered = callback

    def text(self) -> str:
        """The latest errors, as one line."""
        return "; ".join(self._lines[-self.KEPT :]) or "llama.cpp gave no reason"

    def _take(self, level: int, text: bytes, _data: Any) -> None:
        line = text.decode(errors="replace").strip()
        if line and level == ERROR_LEVEL:
            self._lines = [*self._lines[-self.KEPT + 1 :], line]
        if line:
            logger.debug("llama.cpp: %s", line)
