import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import tiny_checkpoint


@pytest.fixture(scope="session")
def gguf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with the tiny checkpoint in both formats."""
    folder = tmp_path_factory.mktemp("model")
    tiny_checkpoint.write_safetensors(folder)
    tiny_checkpoint.write_gguf(folder / "tiny.gguf")
    return folder


@pytest.fixture(scope="session")
def llama_cpp() -> None:
    """Skip tests if llama.cpp is not installed; fail them in the test stage, which requires it."""
    if not find_spec("llama_cpp"):
        if os.environ.get("NLG_TESTS_NEED_LLAMA_CPP"):
            pytest.fail("llama_cpp is not installed")
        pytest.skip("llama_cpp is not installed; the test stage of Dockerfile.optimized has it")
