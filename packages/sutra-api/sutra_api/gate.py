"""The gate before `/api/`: a key, and not too often. It decides before any body is read."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from sutra_service.errors import ServiceError, reply
from sutra_service.rate import RateLimit

from sutra_api.keys import Keys

PREFIX = "/api"


class Gate:
    """Lets a request to `/api/` pass if it has a key and its key is not used too often.

    `calls` counts by key; `failures` counts refused keys by client address, so that nobody can try
    many. A right key passes whatever its address did: behind a proxy all share one.
    """

    def __init__(self, app: ASGIApp, keys: Keys, calls: RateLimit, failures: RateLimit) -> None:
        self._app = app
        self._keys = keys
        self._calls = calls
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request here if it may not pass."""
        if scope["type"] == "http" and (scope["path"] == PREFIX or scope["path"].startswith(f"{PREFIX}/")):
            try:
                self._admit(Headers(scope=scope), (scope.get("client") or ("unknown", 0))[0])
            except ServiceError as error:
                await reply(error.status_code, error.code, error.detail, error.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, headers: Headers, address: str) -> None:
        if not self._keys:
            message = (
                "no API key is configured, so nobody can be let in; make one with "
                "`python -m sutra_api.keys new NAME` and put its entry into SUTRA_API_KEYS"
            )
            raise ServiceError(503, "no_api_keys", message)
        key = _key(headers)
        owner = self._keys.owner(key) if key else None
        if owner is None:
            wait = self._failures.take(address)
            if wait:
                raise _too_many(f"too many requests without a valid key from {address}", wait)
            what = "this API key is not known" if key else "an API key is missing"
            message = f"{what}; send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            raise ServiceError(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})
        wait = self._calls.take(owner)
        if wait:
            raise _too_many(f"the key {owner} is used too often", wait)


def _key(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key", "").strip()


def _too_many(what: str, wait_s: int) -> ServiceError:
    return ServiceError(429, "too_many_requests", f"{what}; try again in {wait_s} s", {"Retry-After": str(wait_s)})
