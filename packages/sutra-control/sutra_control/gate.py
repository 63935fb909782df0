"""Checks sessions for `/api/` and rejects cross-site requests."""

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
    """Middleware that requires a session cookie for `/api/` and the OpenAPI document.

    Signing in and `GET /api/session` need no session, nor does anything outside `/api/`: `/health`,
    `/capabilities` and the page. On any path, requests that change something must come from this page.
    `can_sign_in` tells whether there is any operator.
    """

    def __init__(
        self, app: ASGIApp, sessions: Sessions, origins: frozenset[str], can_sign_in: Callable[[], bool]
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._origins = origins
        self._can_sign_in = can_sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
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
        if not _needs_session(request):
            return
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        if session is None and not _is_session_query(request):
            raise self._unauthorized()
        request.state.session = session

    def _check_origin(self, request: Request) -> None:
        headers = request.headers
        origin = headers.get("origin")
        if origin is None:
            # Browsers that omit Origin send this header. Clients that send neither are not browsers.
            if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
                return
            origin = "another site"
        # Compare only the host, because the scheme differs behind a TLS proxy.
        elif origin in self._origins or _host(origin) == headers.get("host", "").lower():
            return
        message = (
            f"cross-origin request from {origin}; "
            "if operators open the dashboard there, add it to SUTRA_CONTROL_ORIGINS"
        )
        raise ServiceError(403, "foreign_origin", message)

    def _unauthorized(self) -> ServiceError:
        # No WWW-Authenticate header: it would make browsers open a password dialog.
        if not self._can_sign_in():
            message = "not signed in, and no operator is configured; set SUTRA_CONTROL_USERS"
            return ServiceError(401, "no_operators", message)
        message = f"not signed in, or the session has expired; sign in with POST {SESSION_PATH}"
        return ServiceError(401, "unauthorized", message)


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _is_session_query(request: Request) -> bool:
    return request.scope["path"] == SESSION_PATH and request.method == "GET"


def _needs_session(request: Request) -> bool:
    path = request.scope["path"]
    if path == SESSION_PATH and request.method == "POST":
        return False
    return path in ("/api", "/openapi.json") or path.startswith("/api/")
