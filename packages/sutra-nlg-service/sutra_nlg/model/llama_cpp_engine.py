"""llama.cpp: runs a checkpoint in GGUF, quantized or not, on the processor alone."""

import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

# The binding's lowest level alone: what stands above it imports numpy, jinja2 and diskcache.
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
ALL_OF_32_BITS = "0"
FIRST_OF_SPLIT = re.compile(r"-00001-of-\d{5}\.gguf$")
SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


class LlamaCppEngine:
    """A GGUF checkpoint. Only one thread may use it at a time."""

    name = "llama.cpp"

    def __init__(self, folder: Path, context: int, threads: int) -> None:
        file = checkpoint_in(folder)
        complaints = _Complaints()
        load_backend()
        self._model = api.llama_model_load_from_file(os.fsencode(file), api.llama_model_default_params())
        if not self._model:
            raise StartError(f"{file} cannot be loaded: {complaints.text()}; put a complete checkpoint there")
        self._vocab = api.llama_model_get_vocab(self._model)
        self.architecture = self._metadata(b"general.architecture")
        self.context = min(context, api.llama_model_n_ctx_train(self._model) or context)
        self._context = self._new_context(threads or processors.usable())
        # A model that only reads text, such as BERT, has no memory of what it wrote.
        memory = api.llama_get_memory(self._context) if self._context else None
        if not memory or api.llama_model_has_encoder(self._model):
            raise StartError(
                f"{file} cannot be used: architecture {self.architecture!r} does not generate text "
                f"({complaints.text()}); put the checkpoint of a causal language model there"
            )
        self._memory = memory
        self._greedy = api.llama_sampler_init_greedy()
        self._complaints = complaints

    def tokenize(self, parts: Sequence[Part]) -> list[int]:
        """See Engine."""
        tokens: list[int] = []
        for index, part in enumerate(parts):
            tokens.extend(self._tokens(part.text.encode(), index == 0, part.control))
        return tokens

    def generate(self, tokens: Sequence[int], stop: Stop) -> Iterator[int]:
        """See Engine."""
        api.llama_memory_clear(self._memory, True)
        # llama.cpp asks between the parts of its computation; the function has to live as long as that.
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
        # A letter may be spread over several tokens, so bytes are put together before they are read.
        return b"".join(self._piece(token) for token in tokens).decode(errors="replace")

    def _new_context(self, threads: int) -> Any:
        params = api.llama_context_default_params()
        params.n_ctx = self.context
        params.n_batch = BATCH_TOKENS
        params.n_threads = params.n_threads_batch = threads
        # As exact as the weights: what is remembered and flash attention would otherwise be rounded to 16 bits.
        if self._metadata(b"general.file_type") == ALL_OF_32_BITS:
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
            raise RuntimeError(f"llama.cpp could not go on (status {status}): {self._complaints.text()}")

    def _tokens(self, text: bytes, begin: bool, control: bool) -> list[int]:
        # Never more tokens than bytes, but for what the model wants at the beginning and the end.
        most = len(text) + 8
        array = (api.llama_token * most)()
        count = api.llama_tokenize(self._vocab, text, len(text), array, most, begin, control)
        if count < 0:
            raise RuntimeError(f"llama.cpp could not cut {len(text)} bytes into tokens (status {count})")
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
    """The one GGUF checkpoint of `folder`; of one in several files, the first. Raises StartError."""
    files = sorted(folder.glob("*.gguf"))
    wholes = [file for file in files if FIRST_OF_SPLIT.search(file.name) or not SPLIT.search(file.name)]
    if len(wholes) == 1:
        return wholes[0]
    if wholes:
        names = ", ".join(file.name for file in wholes)
        raise StartError(f"{folder} has {len(wholes)} checkpoints ({names}); leave the one to use")
    raise StartError(f"{folder} has no complete *.gguf file, which this image runs; put one there")


def load_backend() -> None:
    """Let ggml take the best of the CPU backends that lie beside it."""
    library = Path(api._lib._name).parent
    ggml = ctypes.CDLL(str(library / "libggml.so"))
    ggml.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
    ggml.ggml_backend_load_all_from_path.restype = None
    ggml.ggml_backend_load_all_from_path(os.fsencode(library))
    api.llama_backend_init()


class _Complaints:
    """What llama.cpp has said at level error, newest last; all it says is in our log at level debug."""

    MOST = 3
    # The library keeps only a pointer to the function.
    _registered: Any = None

    def __init__(self) -> None:
        self._lines: list[str] = []
        callback = api.llama_log_callback(self._take)
        api.llama_log_set(callback, None)
        _Complaints._registered = callback

    def text(self) -> str:
        """The last few, as one line."""
        return "; ".join(self._lines[-self.MOST :]) or "llama.cpp gave no reason"

    def _take(self, level: int, text: bytes, _data: Any) -> None:
        line = text.decode(errors="replace").strip()
        if line and level == ERROR_LEVEL:
            self._lines = [*self._lines[-self.MOST + 1 :], line]
        if line:
            logger.debug("llama.cpp: %s", line)
