"""Libraries that only some editions have, imported at their first use: no start waits for them."""

import threading
from importlib import import_module
from typing import Any

# Where two threads import modules that need each other from different ends, Python hands out a half-made one rather
# than wait for ever. It was not seen with these libraries; one import at a time makes sure.
_one_at_a_time = threading.Lock()


def load(name: str) -> Any:
    """The module of that name. Raises ImportError where it is missing; `capabilities` has looked before. Blocks."""
    with _one_at_a_time:
        return import_module(name)
