"""Serves `/metrics` on a port of its own, which is not published with the service's."""

import asyncio
import logging
import sys
from typing import Any

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sutra_service.connections import BoundedConnection
from sutra_service.errors import reply
from sutra_service.hosts import HostCheck
from sutra_service.metrics import CONTENT_TYPE, Metrics
from sutra_service.request_ids import RequestIds
from sutra_service.settings import Settings

logger = logging.getLogger(__name__)

PATH = "/metrics"


def metrics_app(metrics: Metrics, allowed_hosts: str) -> ASGIApp:
    """The application on that port."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            response: Response = reply(404, "not_found", f"not found: {scope['path']}; metrics are at {PATH}")
        elif scope["method"] not in ("GET", "HEAD"):
            message = f"method not allowed: {scope['method']} {PATH}; use GET"
            response = reply(405, "method_not_allowed", message, {"Allow": "GET, HEAD"})
        else:
            response = Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})
        await response(scope, receive, send)

    return RequestIds(HostCheck(answer, allowed_hosts))


class Server(uvicorn.Server):
    """uvicorn's server, with a second port if METRICS_PORT is set.

    The connections to both ports count together, and end together.
    """

    def __init__(self, config: uvicorn.Config, settings: Settings, metrics: Metrics, listening: asyncio.Event) -> None:
        super().__init__(config)
        self._settings = settings
        self._metrics = metrics
        self._listening = listening
        listening.clear()

    async def startup(self, sockets: Any = None) -> None:
        """Listen on both ports, or exit if one of them is in use."""
        listener = await self._listen()
        await super().startup(sockets)
        self._listening.set()
        if listener is not None:
            self.servers.append(listener)

    async def _listen(self) -> asyncio.Server | None:
        host, port = self._settings.host, self._settings.metrics_port
        if port is None:
            return None
        config = uvicorn.Config(
            metrics_app(self._metrics, self._settings.allowed_hosts),
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            server_header=False,
        )
        config.load()

        def connection() -> BoundedConnection:
            made = BoundedConnection(config=config, server_state=self.server_state, app_state={})
            # Logging each scrape would be noise. The option of Config would silence the other port too.
            made.access_log = False
            return made

        try:
            listener = await asyncio.get_running_loop().create_server(connection, host, port)
        except OSError as error:
            logger.error("cannot listen on %s port %s: %s; change METRICS_PORT", host, port, error)
            sys.exit(1)
        logger.info("metrics at port %d", listener.sockets[0].getsockname()[1])
        return listener
