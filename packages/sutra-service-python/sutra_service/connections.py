"""Connections: a bounded number of them, and of bytes of request bodies, and none that holds up others."""

import asyncio
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

from sutra_service.body import RESET, STREAMED

# About 10 MB of memory, and fewer than the files that a process may usually open.
MAX_CONNECTIONS = 512
# How long a client may take to send the header of a request, and pause within a body.
HEADER_S = 10.0
PAUSE_S = 10.0
# The most bytes of bodies of all requests that are not answered yet.
BODY_BYTES = 32 * 1024 * 1024


class BoundedConnection(H11Protocol):
    """A connection that is closed if its client pauses for too long, or if others need its place or memory.

    The first to go is one that never sent a request, then one between two requests, then one whose body stopped
    arriving. One whose request is being answered stays.
    """

    _timer: asyncio.TimerHandle | None = None
    _heard = 0.0
    # Bytes of the current request's body that are held.
    _body = 0
    # Whether this service stopped reading at the last data, and the client is not to blame for a pause.
    _held_up = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and make room for it."""
        self._heard = self.loop.time()
        if len(self.connections) >= MAX_CONNECTIONS and not self._end_another():
            transport.abort()
        self.app_state = {**self.app_state, RESET: self._reset}
        super().connection_made(transport)
        self._arm(HEADER_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what the connection takes."""
        self._disarm()
        self._body = 0
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a body, and wait for more."""
        self._heard = self.loop.time()
        was_receiving = self._is_receiving()
        super().data_received(data)
        if self._is_receiving() or was_receiving:
            self._body = len(self.cycle.body) if self._is_streamed() else self._body + len(data)
            self._make_room()
        self._held_up = self.flow.read_paused
        if self._is_receiving():
            self._disarm()
            self._arm(PAUSE_S)
        elif self._is_answering():
            self._disarm()
        elif self._timer is None:
            self._arm(HEADER_S)

    def on_response_complete(self) -> None:
        """Forget the body; a keep-alive connection has uvicorn's own timeout."""
        self._body = 0
        self._disarm()
        super().on_response_complete()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_streamed(self) -> bool:
        return STREAMED in self.cycle.scope

    def _is_receiving(self) -> bool:
        return self._is_answering() and self.cycle.more_body

    def _is_waiting(self) -> bool:
        """Whether it holds a part of a body and waits for the rest. A streamed one is soon passed on."""
        return self._is_receiving() and self._body > 0 and not self._is_streamed()

    def _arm(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._time_out)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if self._is_receiving() and self._held_up:
            self._held_up = self.flow.read_paused
            self._arm(PAUSE_S)
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        while sum(other._body for other in self._all()) > BODY_BYTES:
            waiting = [other for other in self._all() if other is not self and other._is_waiting()]
            if not waiting:
                self._end()
                return
            min(waiting, key=lambda other: other._heard)._end()

    def _end_another(self) -> bool:
        def rank(other: BoundedConnection) -> tuple[bool, bool, float]:
            return other._is_answering(), other.cycle is not None, other._heard

        others = [other for other in self._all() if not other._is_answering() or other._is_receiving()]
        if not others:
            return False
        min(others, key=rank)._end()
        return True

    def _reset(self) -> None:
        """Close the connection with a TCP reset: a plain close may look like the end of the answer."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end()

    def _end(self) -> None:
        # Counted no longer, though the event loop closes it later.
        self.connections.discard(self)
        self._body = 0
        self.transport.abort()

    def _all(self) -> "list[BoundedConnection]":
        return [other for other in self.connections if isinstance(other, BoundedConnection)]
