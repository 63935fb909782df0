"""The entry point of every service, from environment variables to graceful shutdown."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from fastapi import FastAPI

    from sutra_service.settings import Environment, Settings

    type Read = Callable[[Environment], Settings]
    type Create = Callable[[Settings, Environment], FastAPI]

# Time for running requests to finish; the whole shutdown must stay below Docker's ten seconds.
GRACE_S = 8


def run(load: "Callable[[], tuple[Read, Create]]") -> NoReturn:
    """Serve until SIGTERM or SIGINT, then exit: 0 stopped, 1 startup failed, 2 a setting is invalid.

    After a StartError it keeps serving, but is not ready.

    `load` imports the service and returns two functions: one reads the settings, the other creates
    the application. It is called here because PID 1 ignores SIGTERM until a handler is installed,
    and importing takes most of the startup time.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    _end(_serve(*load()))


def _end(code: int) -> NoReturn:
    """Exit without waiting for threads: one that loads a model or computes cannot be interrupted."""
    for stream in (sys.stdout, sys.stderr):
        # The reader may be gone.
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _serve(read: "Read", create: "Create") -> int:
    import asyncio  # noqa: PLC0415 - after the signal handlers are installed, see run()

    import uvicorn  # noqa: PLC0415

    from sutra_service import logs  # noqa: PLC0415
    from sutra_service.connections import BoundedConnection  # noqa: PLC0415
    from sutra_service.metrics_server import Server  # noqa: PLC0415
    from sutra_service.settings import Environment, SettingError  # noqa: PLC0415

    environment = Environment(os.environ)
    try:
        settings = read(environment)
        logs.configure(settings.service, settings.log_level)
        app = create(settings, environment)
    except SettingError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    server = Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="asyncio",
            http=BoundedConnection,
            ws="none",
            lifespan="on",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        ),
        settings,
        app.state.metrics,
        app.state.readiness.listening,
    )

    def stop() -> None:
        server.should_exit = True

    app.state.readiness.on_failure = stop
    # For signals before uvicorn installs its handlers, and after it stops: it re-raises the signal, which must not look
    # like a crash.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    # Not server.run() or asyncio.run(): they wait for the loop's threads, see _end().
    # uvicorn raises SystemExit if it could not start, after logging why.
    with suppress(SystemExit):
        asyncio.new_event_loop().run_until_complete(server.serve())
    return 0 if app.state.readiness.keep_running and server.started else 1
