"""Signing in and changing passwords, with rate limits for wrong ones."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from logging import getLogger

from sutra_service.errors import ServiceError
from sutra_service.rate import RateLimit

from sutra_control.passwords import VARIABLE as DATA_VARIABLE
from sutra_control.passwords import Passwords, weakness
from sutra_control.sessions import Sessions
from sutra_control.users import Users

logger = getLogger(__name__)

# Checking a password takes 16 MB and a core, so only one is checked at a time and at most this many wait.
MAX_WAITING = 16
# Behind a port mapping all clients share an address, so failures count by address and name, to not lock out others. The
# limit for an address is this much higher and bounds the work.
NAMES_OF_AN_ADDRESS = 20


class SignIn:
    """Checks and changes passwords, and starts sessions.

    `failures` counts by address and name, `address_failures` by address alone.
    """

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        sessions: Sessions,
        failures: RateLimit,
        address_failures: RateLimit,
    ) -> None:
        self._users = users
        self._passwords = passwords
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

    @property
    def unchangeable(self) -> str:
        """Why passwords cannot be changed; empty if they can."""
        return self._passwords.reason

    async def enter(self, name: str, password: str, address: str) -> str:
        """Sign in and return the token of a new session.

        Raises ServiceError: 503 no_operators, 503 busy, 429 after too many failures from `address` or with
        `name` from `address`, and 401 wrong_password.
        """
        if not self._users:
            raise ServiceError(503, "no_operators", NO_OPERATORS)
        self._count(name, address)
        if not await self._in_turn(self._users.verify, name, password):
            logger.warning("failed sign-in", extra={"address": address})
            raise ServiceError(401, "wrong_password", "the name or the password is wrong; try again")
        self._give_back(name, address)
        logger.info("signed in", extra={"operator": name, "address": address})
        return self._sessions.begin(name)

    async def change_password(self, name: str, current: str, new: str, address: str) -> tuple[str, int]:
        """Change the password of operator `name` and end all of that operator's sessions.

        Returns the token of a new session and the number of sessions that ended. Wrong current passwords count as
        failed sign-ins. Raises ServiceError: 409 no_data_folder, 422 weak_password, 403 wrong_password, 503
        cannot_store, and 503 busy and 429 as `enter` does.
        """
        if self._passwords.reason:
            raise ServiceError(409, "no_data_folder", self._passwords.reason)
        weak = weakness(name, current, new)
        if weak:
            raise ServiceError(422, "weak_password", f"the new password is too weak: {weak}")
        self._count(name, address)
        try:
            changed = await self._in_turn(self._passwords.change, name, current, new)
        except OSError as error:
            self._give_back(name, address)
            logger.exception("cannot store a password")
            message = f"cannot store the password: {error.strerror}; the current one stays valid; check {DATA_VARIABLE}"
            raise ServiceError(503, "cannot_store", message) from None
        if not changed:
            logger.warning("failed change of a password", extra={"operator": name, "address": address})
            raise ServiceError(403, "wrong_password", "the current password is wrong; nothing has changed")
        self._give_back(name, address)
        # All, also the one that asked for it: its token may be known to others too.
        ended = self._sessions.end_all_of(name)
        logger.info("changed the password", extra={"operator": name, "address": address, "ended_sessions": ended})
        return self._sessions.begin(name), ended

    def close(self) -> None:
        """Stop the thread after its current password."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _count(self, name: str, address: str) -> None:
        """Count an attempt. Before checking it, so that concurrent attempts cannot exceed the limits.

        Raises 503 busy and 429.
        """
        # Before counting: the rate limits' tables are bounded, and cheap attempts could evict other entries.
        if self._waiting >= MAX_WAITING:
            raise ServiceError(503, "busy", "too many concurrent sign-ins; try again", {"Retry-After": "2"})
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

    def _give_back(self, name: str, address: str) -> None:
        """Uncount an attempt that has succeeded."""
        self._failures.give_back(_key(name, address))
        self._address_failures.give_back(address)

    async def _in_turn[*Given](self, work: Callable[[*Given], bool], *given: *Given) -> bool:
        """Run slow work on the password thread.

        Only this thread reads and changes passwords, so a sign-in that comes after a change is checked against the new
        password.
        """
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
        finally:
            self._waiting -= 1


def _key(name: str, address: str) -> str:
    return f"{address} {name}"


NO_OPERATORS = (
    "no operator is configured; create one with `python -m sutra_control.users new NAME` "
    "and add its entry to SUTRA_CONTROL_USERS"
)
