"""Sessions: random tokens, kept only as hashes and only in memory."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger

logger = getLogger(__name__)

MAX_TOKEN_CHARACTERS = 128


@dataclass
class Session:
    """A session of an operator in a browser. Times are from the clock of `Sessions`."""

    operator: str
    began: float
    seen: float


class Sessions:
    """At most `most` sessions. Each ends `idle_s` after its last use and at most `whole_s` after signing in.

    `clock` returns monotonic seconds.
    """

    def __init__(self, most: int, idle_s: int, whole_s: int, clock: Callable[[], float]) -> None:
        self.whole_s = whole_s
        self._most = most
        self._idle_s = idle_s
        self._clock = clock
        # Least recently used first.
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, operator: str) -> str:
        """Start a session and return its token. If there are too many, the least recently used one ends."""
        now = self._clock()
        for key in [key for key, session in self._sessions.items() if self._is_over(session, now)]:
            del self._sessions[key]
        if len(self._sessions) >= self._most:
            _, ended = self._sessions.popitem(last=False)
            logger.info("ended a session of %s to make room for %s", ended.operator, operator)
        token = secrets.token_urlsafe(32)
        self._sessions[_key(token)] = Session(operator, now, now)
        return token

    def find(self, token: str) -> Session | None:
        """Find the session of `token` and mark it as used; None if it does not exist or has expired."""
        if not token or len(token) > MAX_TOKEN_CHARACTERS:
            return None
        key = _key(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        if self._is_over(session, now):
            del self._sessions[key]
            return None
        session.seen = now
        self._sessions.move_to_end(key)
        return session

    def end(self, token: str) -> None:
        """End the session of `token`, if there is one."""
        self._sessions.pop(_key(token), None)

    def end_all_of(self, operator: str) -> int:
        """End all sessions of `operator`. Returns their number."""
        keys = [key for key, session in self._sessions.items() if session.operator == operator]
        for key in keys:
            del self._sessions[key]
        return len(keys)

    def _is_over(self, session: Session, now: float) -> bool:
        return now - session.seen >= self._idle_s or now - session.began >= self.whole_s


def _key(token: str) -> bytes:
    # The time of a lookup by hash reveals nothing about the token.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
