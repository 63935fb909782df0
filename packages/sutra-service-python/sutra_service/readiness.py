"""Whether the service can do its work yet."""

from collections.abc import Awaitable, Callable
from logging import getLogger

logger = getLogger(__name__)

STARTING = "starting"
OK = "ok"
FAILED = "failed"


class Readiness:
    """The service's own state, from `starting` to `ok` or `failed`.

    `on_failure` is called once if the start fails; `run` puts the end of the process there.
    """

    def __init__(self) -> None:
        self.status = STARTING
        self.on_failure: Callable[[], None] = lambda: None

    async def follow(self, start: Callable[[], Awaitable[None]]) -> None:
        """Run the service's start and take its outcome as the state."""
        try:
            await start()
        except Exception:
            self.status = FAILED
            logger.exception("the start failed; the service stops")
            self.on_failure()
        else:
            self.status = OK
            logger.info("ready")
