"""Who is signed in: random tokens, of which only the hash is kept, and only in memory."""

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
    """One operator in one browser. Times are those of the clock that `Sessions` was given."""

    operator: str
    began: float
    seen: float


class Sessions:
    """At most `most` sessions; one ends `idle_s` after its last request and `whole_s` after its first.

    `clock` gives seconds that never go back.
    """

    def __init__(self, most: int, idle_s: int, whole_s: int, clock: Callable[[], float]) -> None:
        self.whole_s = whole_s
        self._most = most
        self._idle_s = idle_s
        self._clock = clock
        # The least recently used comes first.
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, operator: str) -> str:
        """Sign `operator` in and return the token. Where there is no room, the least recently used session ends."""
        now = self._clock()
        for key in [key for key, session in self._sessions.items() if self._is_over(session, now)]:
            del self._sessions[key]
        if len(self._sessions) >= self._most:
            _, ended = self._sessions.popitem(last=False)
            logger.info("a session of %s ends to make room for %s", ended.operator, operator)
        token = secrets.token_urlsafe(32)
        self._sessions[_key(token)] = Session(operator, now, now)
        return token

    def find(self, token: str) -> Session | None:
        """The session of `token`, which counts as used now; none if there is none or it is over."""
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
        """Sign out; a token that nobody has is no fault."""
        self._sessions.pop(_key(token), None)

    def _is_over(self, session: Session, now: float) -> bool:
        return now - session.seen >= self._idle_s or now - session.began >= self.whole_s


def _key(token: str) -> bytes:
    # A search by hash takes a time that tells nothing of the token.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
