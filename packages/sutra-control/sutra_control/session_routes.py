"""The routes to sign in and out and to change one's password. The gate checks who may use them."""

from typing import Any

from fastapi import APIRouter, Request, Response
from sutra_service.body import JsonRoute
from sutra_service.errors import ErrorReply

from sutra_control.gate import COOKIE, SESSION_PATH
from sutra_control.passwords import MIN_CHARACTERS, MIN_DIFFERENT
from sutra_control.requests import (
    PasswordReply,
    PasswordRequest,
    PasswordRulesReply,
    SessionReply,
    SignInReply,
    SignInRequest,
)
from sutra_control.sessions import Sessions
from sutra_control.signin import NO_OPERATORS, SignIn

PASSWORD_PATH = "/api/password"  # noqa: S105 - a path
REFUSED: dict[int | str, dict[str, Any]] = {401: {"model": ErrorReply}, 403: {"model": ErrorReply}}
NOT_NOW: dict[int | str, dict[str, Any]] = {429: {"model": ErrorReply}, 503: {"model": ErrorReply}}
NO_FOLDER: dict[int | str, dict[str, Any]] = {409: {"model": ErrorReply}}


def session_routes(sign_in: SignIn, sessions: Sessions, *, secure: bool) -> APIRouter:
    """Routes to sign in and out. `secure` sets the cookie's Secure attribute even if the request uses http."""
    router = APIRouter(route_class=JsonRoute, tags=["session"], responses=REFUSED)

    @router.post(SESSION_PATH, responses=NOT_NOW)
    async def begin(given: SignInRequest, request: Request, response: Response) -> SignInReply:
        """Sign in. The response sets the session cookie."""
        token = await sign_in.enter(given.name, given.password, _address(request))
        # A browser has only one session.
        sessions.end(request.cookies.get(COOKIE, ""))
        _set_cookie(response, request, token, sessions, secure=secure)
        return SignInReply(operator=given.name)

    @router.get(SESSION_PATH)
    async def show(request: Request) -> SessionReply:
        """Return the signed-in operator, or null, so that a newly opened page can ask without an error."""
        session = request.state.session
        if session is not None:
            return SessionReply(operator=session.operator)
        return SessionReply(operator=None, reason="" if sign_in.is_possible else NO_OPERATORS)

    @router.delete(SESSION_PATH, status_code=204)
    async def end(request: Request, response: Response) -> None:
        """Sign out."""
        sessions.end(request.cookies.get(COOKIE, ""))
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    return router


def password_routes(sign_in: SignIn, sessions: Sessions, *, secure: bool) -> APIRouter:
    """Routes to change one's own password. `secure` is that of `session_routes`."""
    router = APIRouter(route_class=JsonRoute, tags=["session"], responses=REFUSED)

    @router.get(PASSWORD_PATH)
    async def rules() -> PasswordRulesReply:
        """Return what a new password needs, and whether it can be changed here."""
        return PasswordRulesReply(
            reason=sign_in.unchangeable, min_characters=MIN_CHARACTERS, min_different=MIN_DIFFERENT
        )

    @router.post(PASSWORD_PATH, responses={**NOT_NOW, **NO_FOLDER})
    async def change(given: PasswordRequest, request: Request, response: Response) -> PasswordReply:
        """Change one's own password. All sessions of the operator end; the response sets the cookie of a new one."""
        operator = request.state.session.operator
        token, ended = await sign_in.change_password(operator, given.current, given.new, _address(request))
        _set_cookie(response, request, token, sessions, secure=secure)
        return PasswordReply(ended_sessions=ended)

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _set_cookie(response: Response, request: Request, token: str, sessions: Sessions, *, secure: bool) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=sessions.whole_s,
        path="/",
        secure=secure or request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
