"""Checks that llama.cpp works in the image: the build runs `python -m sutra_nlg.model.selftest` in the final root.

Fails if a library or one of its dependencies is missing, or if no backend supports the processor.
"""

import ctypes
from pathlib import Path

import llama_cpp.llama_cpp as api

from sutra_nlg.model.llama_cpp_engine import load_backend


def main() -> None:
    """Load every library, then the backend."""
    for library in sorted(Path(api._lib._name).parent.glob("*.so")):
        ctypes.CDLL(str(library))
        print(f"loaded {library.name}")
    load_backend()
    print(api.llama_print_system_info().decode())


if __name__ == "__main__":
    main()
