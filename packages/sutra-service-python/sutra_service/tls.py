"""Loads OpenSSL only when needed: services talk plain HTTP to each other, and it takes 6 MB in every process.

asyncio, anyio, httpcore and uvicorn import `ssl` for its type names, and `hashlib` prefers OpenSSL's functions to
Python's own. Imported within `postponed`, they work without OpenSSL until the first `https:` URL.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

# Stand-ins for the `ssl` names that are used before it is loaded: constants, and types. Until then, no object has these
# types and none of these errors is raised.
PLACEHOLDERS: dict[str, Any] = {"CERT_NONE": 0, "PROTOCOL_TLS_SERVER": 17} | {
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
    """`ssl` for modules that imported it early: loads the real module on access to anything but a placeholder."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get("ssl") in (None, self):
            if name in PLACEHOLDERS:
                return PLACEHOLDERS[name]
            # The import system looks these up; they must not trigger loading.
            if name.startswith("__"):
                raise AttributeError(name)
            sys.modules.pop("ssl", None)
        loaded = import_module("ssl")
        # asyncio copied the placeholders, which would not match the real errors.
        import_module("asyncio.sslproto").SSLAgainErrors = (loaded.SSLWantReadError, loaded.SSLSyscallError)
        return getattr(loaded, name)


@contextmanager
def postponed() -> Iterator[None]:
    """Keep modules imported within this block from loading OpenSSL; later imports of `ssl` get the real module.

    `hashlib`, if imported here, has Python's own algorithms, but no `scrypt`, which is in `_hashlib`. Does nothing if
    `ssl` is already loaded.
    """
    held: dict[str, ModuleType | None] = {"ssl": _Ssl("ssl"), "_hashlib": None}
    if "ssl" in sys.modules or "_hashlib" in sys.modules:
        held = {}
    sys.modules.update(held)  # type: ignore[arg-type] - None makes an import fail
    try:
        yield
    finally:
        for name, module in held.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]
