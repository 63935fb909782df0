"""Checks API keys and rate limits for `/api/`, before the body is read."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from sutra_service.errors import ServiceError, reply
from sutra_service.metrics import Counter
from sutra_service.rate import RateLimit

from sutra_api.keys import Keys

PREFIX = "/api"
# In the scope of a request with a valid key: the name of the key.
OWNER = "sutra_api.owner"
REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)


class Gate:
    """Middleware that lets requests to `/api/` pass only with a valid key and within its rate limit.

    `calls` counts by key. `failures` counts invalid keys by client address, against guessing. A valid
    key always passes that check, because clients behind a proxy share an address. `refused` counts both by reason.
    """

    def __init__(self, app: ASGIApp, keys: Keys, calls: RateLimit, failures: RateLimit, refused: Counter) -> None:
        self._app = app
        self._keys = keys
        self._calls = calls
        self._failures = failures
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and (scope["path"] == PREFIX or scope["path"].startswith(f"{PREFIX}/")):
            try:
                scope[OWNER] = self._admit(Headers(scope=scope), (scope.get("client") or ("unknown", 0))[0])
            except ServiceError as error:
                if error.status_code in REFUSALS:
                    self._refused.add(error.code)
                await reply(error.status_code, error.code, error.detail, error.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, headers: Headers, address: str) -> str:
        """Return the name of the key."""
        if not self._keys:
            message = (
                "no API key is configured; create one with "
                "`python -m sutra_api.keys new NAME` and add its entry to SUTRA_API_KEYS"
            )
            raise ServiceError(503, "no_api_keys", message)
        key = _key(headers)
        owner = self._keys.owner(key) if key else None
        if owner is None:
            wait = self._failures.take(address)
            if wait:
                raise _too_many(f"too many requests without a valid key from {address}", wait)
            what = "unknown API key" if key else "missing API key"
            message = f"{what}; send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            raise ServiceError(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})
        wait = self._calls.take(owner)
        if wait:
            raise _too_many(f"too many requests for key {owner}", wait)
        return owner


def _key(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key", "").strip()


def _too_many(what: str, wait_s: int) -> ServiceError:
    return ServiceError(429, "too_many_requests", f"{what}; try again in {wait_s} s", {"Retry-After": str(wait_s)})
