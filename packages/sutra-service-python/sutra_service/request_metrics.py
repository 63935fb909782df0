"""Counts and times requests."""

import time
from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sutra_service.metrics import Gauge, Histogram, Metrics

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# For what clients choose freely: unknown paths and methods.
OTHER = "other"
# The server of the client page sends this header with the value `client`.
VIA = b"x-sutra-via"


class RequestMetrics:
    """Middleware that counts and times requests by the template of their route.

    `routes` are those of the application. `tells_via` adds a label that tells requests of the client page from others.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Sequence[BaseRoute], *, tells_via: bool = False) -> None:
        self._app = app
        self._routes = routes
        self._tells_via = tells_via
        labels = ("method", "route", "status", *(("via",) if tells_via else ()))
        self._requests = metrics.counter("sutra_http_requests_total", "Answered requests.", labels)
        self._seconds = metrics.add(
            Histogram("sutra_http_request_seconds", "Time from a request to the end of its answer.", ("route",))
        )
        self._running = metrics.add(Gauge("sutra_http_requests_in_progress", "Requests in progress."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._running.add()
        try:
            await self._app(scope, receive, noted)
        finally:
            self._running.add(by=-1)
            route = self._route(scope)
            self._seconds.observe(time.perf_counter() - began, route)
            method = scope["method"] if scope["method"] in METHODS else OTHER
            # Without an answer: the application failed before its first byte.
            self._requests.add(method, route, str(status or 500), *self._via(scope))

    def _route(self, scope: Scope) -> str:
        """The template of the route, also of a request that was refused before it reached it."""
        return getattr(scope.get("route") or _find(self._routes, scope), "path", OTHER)

    def _via(self, scope: Scope) -> tuple[str, ...]:
        if not self._tells_via:
            return ()
        return ("client" if (VIA, b"client") in scope["headers"] else "direct",)


def _find(routes: Sequence[BaseRoute], scope: Scope) -> BaseRoute | None:
    for route in routes:
        if route.matches(scope)[0] is not Match.NONE:
            # FastAPI keeps an included router as one route of the application.
            included = getattr(route, "original_router", None)
            return route if included is None else _find(included.routes, scope)
    return None
