"""The container's health check: `python -m sutra_service.healthcheck`.

Exit code 0 when this container's service answers `/health` with 200, else 1. It runs every few
seconds, so it speaks HTTP over a bare socket: an HTTP client would cost more than the question.
"""

import os
import socket
import sys

TIMEOUT_S = 3.0
STATUS_LINE_BYTES = 64


def check(port: int) -> str:
    """Empty when the service on this machine's `port` is healthy, else what is wrong."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
            status = connection.makefile("rb").readline(STATUS_LINE_BYTES).split()
    except OSError as error:
        return f"no answer on port {port}: {error}"
    if len(status) > 1 and status[0].startswith(b"HTTP/") and status[1] == b"200":
        return ""
    return f"port {port} answered {b' '.join(status[:2]).decode(errors='replace') or 'nothing'}"


def main() -> int:
    """Check PORT, as the service does, else the port given as argument (the service's default)."""
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    port = os.environ.get("PORT") or given
    if not port.isdigit():
        print("say which port: python -m sutra_service.healthcheck PORT, or set PORT", file=sys.stderr)
        return 1
    problem = check(int(port))
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
