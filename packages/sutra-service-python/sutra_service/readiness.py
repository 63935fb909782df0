"""The service's readiness."""

import asyncio
from collections.abc import Awaitable, Callable
from logging import getLogger

from sutra_service.errors import ServiceError

logger = getLogger(__name__)

STARTING = "starting"
OK = "ok"
FAILED = "failed"


class StartError(Exception):
    """Startup failed because of the service's configuration or data, such as a broken model folder.

    `/health` shows the message, which says what is wrong, where, and how to fix it. The process
    keeps running, because a restart alone would not help.
    """


class Readiness:
    """The service's own state: `starting`, then `ok` or `failed`.

    `reason` says why it failed. `on_failure` is called if startup raises anything but StartError;
    `run` sets it to stop the process. `listening` is cleared by `run` until the port is open.
    """

    def __init__(self) -> None:
        self.status = STARTING
        self.reason = ""
        self.keep_running = True
        self.on_failure: Callable[[], None] = lambda: None
        self.listening = asyncio.Event()
        self.listening.set()

    async def follow(self, start: Callable[[], Awaitable[None]]) -> None:
        """Await `start` and set the state by its outcome."""
        try:
            await start()
        except StartError as error:
            self.status = FAILED
            self.reason = str(error)
            logger.error("startup failed: %s; fix this and restart the service", error)
        except Exception:
            self.status = FAILED
            self.reason = "startup failed; check the log"
            self.keep_running = False
            logger.exception("startup failed; stopping")
            self.on_failure()
        else:
            self.status = OK
            logger.info("ready")

    def require(self) -> None:
        """Raise ServiceError 503 not_ready, with the reason, unless the service is ready."""
        if self.status == FAILED:
            raise ServiceError(503, "not_ready", f"the service is not ready: {self.reason}")
        if self.status != OK:
            raise ServiceError(503, "not_ready", "the service is still starting; try again", {"Retry-After": "1"})
