"""Signing in, with rate limits for wrong passwords."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from logging import getLogger

from sutra_service.errors import ServiceError
from sutra_service.rate import RateLimit

from sutra_control.sessions import Sessions
from sutra_control.users import Users

logger = getLogger(__name__)

# Checking a password takes 16 MB and a core, so only one is checked at a time and at most this many wait.
MAX_WAITING = 16
# Behind a port mapping all clients share an address, so failures count by address and name, to not lock out others. The
# limit for an address is this much higher and bounds the work.
NAMES_OF_AN_ADDRESS = 20


class SignIn:
    """Checks passwords and starts sessions.

    `failures` counts by address and name, `address_failures` by address alone.
    """

    def __init__(self, users: Users, sessions: Sessions, failures: RateLimit, address_failures: RateLimit) -> None:
        self._users = users
        self._sessions = sessions
        self._failures = failures
        self._address_failures = address_failures
        self._waiting = 0
        # Not the event loop's threads: slow host name lookups may occupy them.
        self._thread = ThreadPoolExecutor(1, "password")

    @property
    def is_possible(self) -> bool:
        """Whether there is any operator."""
        return bool(self._users)

    async def enter(self, name: str, password: str, address: str) -> str:
        """Sign in and return the token of a new session.

        Raises ServiceError: 503 no_operators, 503 busy, 429 after too many failures from `address` or with
        `name` from `address`, and 401 wrong_password.
        """
        if not self._users:
            raise ServiceError(503, "no_operators", NO_OPERATORS)
        # Before counting: the rate limits' tables are bounded, and cheap attempts could evict other entries.
        if self._waiting >= MAX_WAITING:
            raise ServiceError(503, "busy", "too many sign-ins at the moment; try again", {"Retry-After": "2"})
        self._count(name, address)
        if not await self._verify(name, password):
            logger.warning("failed sign-in", extra={"address": address})
            raise ServiceError(401, "wrong_password", "the name or the password is wrong; try again")
        self._failures.give_back(_key(name, address))
        self._address_failures.give_back(address)
        logger.info("signed in", extra={"operator": name, "address": address})
        return self._sessions.begin(name)

    def close(self) -> None:
        """Stop the thread after its current password."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _count(self, name: str, address: str) -> None:
        """Count an attempt. Before checking it, so that concurrent attempts cannot exceed the limits. Raises 429."""
        who = address
        wait = self._address_failures.take(address)
        if not wait:
            who = f"this name at {address}"
            wait = self._failures.take(_key(name, address))
            if wait:
                self._address_failures.give_back(address)
        if wait:
            logger.warning("too many failed sign-ins", extra={"address": address})
            message = f"too many failed sign-ins from {who}; try again in {wait} s"
            raise ServiceError(429, "too_many_requests", message, {"Retry-After": str(wait)})

    async def _verify(self, name: str, password: str) -> bool:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._users.verify, name, password)
        finally:
            self._waiting -= 1


def _key(name: str, address: str) -> str:
    return f"{address} {name}"


NO_OPERATORS = (
    "no operator is configured; create one with `python -m sutra_control.users new NAME` "
    "and add its entry to SUTRA_CONTROL_USERS"
)
