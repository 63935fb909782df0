"""Imports the libraries of larger editions on first use, to keep startup fast."""

import threading
from importlib import import_module
from typing import Any

# If two threads import modules that depend on each other, Python may return a partially initialized module to avoid a
# deadlock. Never observed with these libraries; importing one at a time rules it out.
_one_at_a_time = threading.Lock()


def load(name: str) -> Any:
    """Import a module. It exists, because capabilities.check_libraries() has run. Blocks."""
    with _one_at_a_time:
        return import_module(name)
