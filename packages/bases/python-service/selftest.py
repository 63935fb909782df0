"""Check that services start and call each other without OpenSSL: run in the build, by the image's own interpreter.

Any fault fails the build.
"""

import asyncio
import importlib
import json
import pkgutil
import socket
import sys
from http import HTTPStatus
from importlib.util import find_spec
from threading import Thread

import anyio.to_thread
import sutra_service
import uvicorn
from sutra_service.application import create_app
from sutra_service.connections import BoundedConnection
from sutra_service.dependency import Dependency
from sutra_service.settings import Environment, Settings

ABSENT = ("_hashlib", "_ssl", "click", "ssl")


async def health(url: str) -> dict[str, object]:
    """The answer of `/health`, asked as one service asks another. Uses anyio's backend for asyncio, too."""
    dependency = Dependency("itself", url, "ITSELF_URL", 30)
    try:
        status, body = await dependency.exchange("GET", "/health")
    finally:
        await dependency.close()
    if status != HTTPStatus.OK:
        sys.exit(f"/health answered {status}: {body!r}")
    return await anyio.to_thread.run_sync(json.loads, body)


def main() -> None:
    """Import every module, and serve one request."""
    for module in pkgutil.iter_modules(sutra_service.__path__, "sutra_service."):
        importlib.import_module(module.name)
    app = create_app(Settings.read(Environment({}), "sutra-selftest", 0), title="Selftest", max_body_bytes=1000)
    server = uvicorn.Server(uvicorn.Config(app, http=BoundedConnection, ws="none", loop="asyncio", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = Thread(target=server.run, args=([listener],))
        serving.start()
        try:
            answer = asyncio.run(health(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        finally:
            server.should_exit = True
            serving.join()
    if answer["service"] != "sutra-selftest":
        sys.exit(f"/health answered {answer}")
    if present := [name for name in ABSENT if name in sys.modules or find_spec(name)]:
        sys.exit(f"not removed, or replaced in sys.modules: {', '.join(present)}")


if __name__ == "__main__":
    main()
