"""Whether llama.cpp can run here: `python -m sutra_nlg.model.selftest`, by the build in the image's own root.

Fails where a library or one that it needs is missing, and where no backend fits the processor.
"""

import ctypes
from pathlib import Path

import llama_cpp.llama_cpp as api

from sutra_nlg.model.llama_cpp_engine import load_backend


def main() -> None:
    """Load every library, then what an engine would load."""
    for library in sorted(Path(api._lib._name).parent.glob("*.so")):
        ctypes.CDLL(str(library))
        print(f"{library.name} loads")
    load_backend()
    print(api.llama_print_system_info().decode())


if __name__ == "__main__":
    main()
