"""Whether the service can do its work yet."""

from collections.abc import Awaitable, Callable
from logging import getLogger

from sutra_service.errors import ServiceError

logger = getLogger(__name__)

STARTING = "starting"
OK = "ok"
FAILED = "failed"


class StartError(Exception):
    """A start that failed through what the service was given, such as a model folder that is broken.

    The message says what, where and remedy; it is shown in `/health`. The process stays, because
    starting again would find the same.
    """


class Readiness:
    """The service's own state, from `starting` to `ok` or `failed`.

    `reason` says why it failed. `on_failure` is called once if the start fails in any other way than
    StartError; `run` puts the end of the process there.
    """

    def __init__(self) -> None:
        self.status = STARTING
        self.reason = ""
        self.stays = True
        self.on_failure: Callable[[], None] = lambda: None

    async def follow(self, start: Callable[[], Awaitable[None]]) -> None:
        """Run the service's start and take its outcome as the state."""
        try:
            await start()
        except StartError as error:
            self.status = FAILED
            self.reason = str(error)
            logger.error("not ready, and stays so until it is started anew: %s", error)
        except Exception:
            self.status = FAILED
            self.reason = "the start failed; the log says why"
            self.stays = False
            logger.exception("the start failed; the service stops")
            self.on_failure()
        else:
            self.status = OK
            logger.info("ready")

    def require(self) -> None:
        """Raise ServiceError 503 not_ready, with the reason, unless the service can do its work."""
        if self.status == FAILED:
            raise ServiceError(503, "not_ready", f"the service cannot work: {self.reason}")
        if self.status != OK:
            raise ServiceError(503, "not_ready", "the service is still starting; try again", {"Retry-After": "1"})
