"""The container's health check: `python -m sutra_service.healthcheck PORT`.

Exits with 0 if the service answers `/health` with 200, else with 1. It asks the address and port that the service
listens on, HOST and PORT. It runs every few seconds, so it uses a plain socket: importing an HTTP client would take
longer than the request.
"""

import os
import socket
import sys

TIMEOUT_S = 3.0
STATUS_LINE_BYTES = 64
# A service that listens on all addresses is asked on the loopback one.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound


def check(port: int, host: str = "") -> str:
    """Return what is wrong with the service that listens on `host` and `port`; empty if it is healthy."""
    try:
        with socket.create_connection((LOOPBACK.get(host, host), port), TIMEOUT_S) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
            status = connection.makefile("rb").readline(STATUS_LINE_BYTES).split()
    except OSError as error:
        return f"no answer on {host or 'localhost'} port {port}: {error}"
    if len(status) > 1 and status[0].startswith(b"HTTP/") and status[1] == b"200":
        return ""
    return f"not healthy: port {port} answered {b' '.join(status[:2]).decode(errors='replace') or 'nothing'}"


def main() -> int:
    """Check the port in the PORT variable, which the service uses too, else the one in the argument."""
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    port = os.environ.get("PORT", "").strip() or given
    if not port.isdigit():
        print("no port given; run `python -m sutra_service.healthcheck PORT` or set PORT", file=sys.stderr)
        return 1
    problem = check(int(port), os.environ.get("HOST", "").strip())
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
