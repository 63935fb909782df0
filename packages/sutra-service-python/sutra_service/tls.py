"""OpenSSL, loaded when somebody needs it: within the stack nobody speaks TLS, and it is 6 MB of every process.

asyncio, anyio, httpcore and uvicorn import `ssl` for the names of its types, and `hashlib` prefers OpenSSL's functions
to Python's own. Imported within `postponed` they do without, until the first `https:` address.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

# What is read of `ssl` before it is loaded: default values, as OpenSSL has them, and types. No object is of these types
# and no error of these classes is raised before that.
UNTIL_LOADED: dict[str, Any] = {"CERT_NONE": 0, "PROTOCOL_TLS_SERVER": 17} | {
    name: type(name, (OSError,) if name.endswith("Error") else (), {"__module__": "ssl"})
    for name in (
        "MemoryBIO",
        "SSLContext",
        "SSLError",
        "SSLObject",
        "SSLSocket",
        "SSLSyscallError",
        "SSLWantReadError",
        "SSLWantWriteError",
    )
}


class _Ssl(ModuleType):
    """`ssl` as those have it who imported it early: the module itself, as soon as one asks for more than a name."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get("ssl") in (None, self):
            if name in UNTIL_LOADED:
                return UNTIL_LOADED[name]
            # The import system looks for some of these, and they are in no module that it has not loaded itself.
            if name.startswith("__"):
                raise AttributeError(name)
            sys.modules.pop("ssl", None)
        loaded = import_module("ssl")
        # asyncio took these from here, and would not know them again.
        import_module("asyncio.sslproto").SSLAgainErrors = (loaded.SSLWantReadError, loaded.SSLSyscallError)
        return getattr(loaded, name)


@contextmanager
def postponed() -> Iterator[None]:
    """Whatever is imported herein goes without OpenSSL for now; later imports of `ssl` get the module itself.

    `hashlib`, where it is imported herein, has all algorithms that are Python's own, and no `scrypt`: that is
    `_hashlib`'s. Where `ssl` is loaded already, nothing changes.
    """
    held: dict[str, ModuleType | None] = {"ssl": _Ssl("ssl"), "_hashlib": None}
    if "ssl" in sys.modules or "_hashlib" in sys.modules:
        held = {}
    sys.modules.update(held)  # type: ignore[arg-type] - None keeps a module from being found
    try:
        yield
    finally:
        for name, module in held.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]
