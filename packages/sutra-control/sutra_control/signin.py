"""The sign-in: one password at a time, and not too many wrong ones for a name from one address."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from logging import getLogger

from sutra_service.errors import ServiceError
from sutra_service.rate import RateLimit

from sutra_control.sessions import Sessions
from sutra_control.users import Users

logger = getLogger(__name__)

# A try takes 16 MB and a core, so they come one after the other, and no more than this many wait.
MAX_WAITING = 16
# Behind a port mapping all people share one address, and somebody who fails must not lock out the others. So failures
# count by address and name; those of all names together are bounded this much higher, for the work that they make.
NAMES_OF_AN_ADDRESS = 20


class SignIn:
    """Turns a name and a password into a session.

    `failures` counts by address and name, `address_failures` by address alone.
    """

    def __init__(self, users: Users, sessions: Sessions, failures: RateLimit, address_failures: RateLimit) -> None:
        self._users = users
        self._sessions = sessions
        self._failures = failures
        self._address_failures = address_failures
        self._waiting = 0
        # A thread of its own: those of the event loop also look up host names, which may take long.
        self._thread = ThreadPoolExecutor(1, "password")

    @property
    def is_possible(self) -> bool:
        """Whether there is any operator who could sign in."""
        return bool(self._users)

    async def enter(self, name: str, password: str, address: str) -> str:
        """The token of a new session.

        Raises ServiceError: 503 no_operators while there is none and busy while too many try,
        429 for too many failures as `name` from `address` or of `address`, 401 wrong_password.
        """
        if not self._users:
            raise ServiceError(503, "no_operators", NO_OPERATORS)
        # Before anything is counted: the tables are bounded, and tries that cost nothing could push others out of them.
        if self._waiting >= MAX_WAITING:
            raise ServiceError(503, "busy", "too many sign in at this moment; try again", {"Retry-After": "2"})
        self._count(name, address)
        if not await self._fits(name, password):
            logger.warning("a failed sign-in", extra={"address": address})
            raise ServiceError(401, "wrong_password", "the name or the password is wrong; try again")
        self._failures.give_back(_key(name, address))
        self._address_failures.give_back(address)
        logger.info("signed in", extra={"operator": name, "address": address})
        return self._sessions.begin(name)

    def close(self) -> None:
        """End the thread once its present password is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _count(self, name: str, address: str) -> None:
        """Count a try before it is looked at, or many at once would get past the limits. Raises ServiceError 429."""
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

    async def _fits(self, name: str, password: str) -> bool:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._users.fits, name, password)
        finally:
            self._waiting -= 1


def _key(name: str, address: str) -> str:
    return f"{address} {name}"


NO_OPERATORS = (
    "no operator is configured, so nobody can sign in; make one with `python -m sutra_control.users new NAME` "
    "and put its entry into SUTRA_CONTROL_USERS"
)
