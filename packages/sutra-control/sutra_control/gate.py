"""The gate before `/api/`: a session, and no request that another site's page sends."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from sutra_service.errors import ServiceError, reply

from sutra_control.sessions import Sessions

COOKIE = "sutra_control_session"
SESSION_PATH = "/api/session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Gate:
    """Lets a request to `/api/` and to the OpenAPI document pass if its cookie holds a session.

    Open are the sign-in itself, the question who is signed in (nobody is an answer to it, not a
    refusal) and all that is not below `/api/`: `/health`, `/capabilities` and the page. What changes
    something has to come from this page, on any path. `can_sign_in` says whether there is any
    operator.
    """

    def __init__(
        self, app: ASGIApp, sessions: Sessions, origins: frozenset[str], can_sign_in: Callable[[], bool]
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._origins = origins
        self._can_sign_in = can_sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request here if it may not pass."""
        if scope["type"] == "http":
            request = Request(scope)
            try:
                self._admit(request)
            except ServiceError as error:
                await reply(error.status_code, error.code, error.detail, error.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, request: Request) -> None:
        if request.method not in SAFE_METHODS:
            self._check_origin(request)
        if not _is_kept(request):
            return
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        if session is None and not _is_who(request):
            raise self._nobody()
        request.state.session = session

    def _check_origin(self, request: Request) -> None:
        headers = request.headers
        origin = headers.get("origin")
        if origin is None:
            # A browser that leaves Origin out says this; what sends neither is no browser, and has no cookie to abuse.
            if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
                return
            origin = "another site"
        # Only the host is compared: behind a proxy that speaks TLS, the scheme here is another one.
        elif origin in self._origins or _host(origin) == headers.get("host", "").lower():
            return
        message = (
            f"this request comes from {origin}, not from this page; "
            "if that is where operators open it, add it to SUTRA_CONTROL_ORIGINS"
        )
        raise ServiceError(403, "foreign_origin", message)

    def _nobody(self) -> ServiceError:
        # No WWW-Authenticate: a browser would ask for a password in a window of its own.
        if not self._can_sign_in():
            message = "nobody is signed in, and no operator is configured; set SUTRA_CONTROL_USERS"
            return ServiceError(401, "no_operators", message)
        message = f"nobody is signed in, or no longer; sign in with POST {SESSION_PATH}"
        return ServiceError(401, "unauthorized", message)


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _is_who(request: Request) -> bool:
    return request.scope["path"] == SESSION_PATH and request.method == "GET"


def _is_kept(request: Request) -> bool:
    path = request.scope["path"]
    if path == SESSION_PATH and request.method == "POST":
        return False
    return path in ("/api", "/openapi.json") or path.startswith("/api/")
