"""The Host names that a service answers to.

Web pages reach a service on this machine or in its network by giving their own name a new address (DNS rebinding);
their requests still carry that name.
"""

import re
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from sutra_service.errors import reply

# RFC 3986, section 3.2.2: a name, or an IPv6 address in brackets, and optionally a port.
AUTHORITY = re.compile(r"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?")


class HostCheck:
    """Middleware that answers 421 to a foreign Host, and 400 to one that is missing or invalid.

    Always allowed are addresses, `localhost`, and names without a dot, which public DNS does not have: those that
    Compose gives to services. `allowed` lists more, separated by commas: `.example.com` allows all names below
    `example.com`, `*` any name.
    """

    def __init__(self, app: ASGIApp, allowed: str) -> None:
        self._app = app
        self._allowed = {name.strip().lower() for name in allowed.split(",")} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        refusal = self._refuse(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await reply(*refusal)(scope, receive, send)

    def _refuse(self, scope: Scope) -> tuple[int, str, str] | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not hosts and scope.get("http_version", "1.0") == "1.0":
            return None
        if len(hosts) != 1:
            return 400, "invalid_request", "a request needs exactly one Host header"
        found = AUTHORITY.fullmatch(hosts[0])
        if found is None:
            return 400, "invalid_request", "the Host header is invalid; send a name or an address, and a port"
        if self._allow(found[1].rstrip(".").lower()):
            return None
        message = f"host {found[1]!r} is not allowed; if it is a name of this service, add it to ALLOWED_HOSTS"
        return 421, "foreign_host", message

    def _allow(self, host: str) -> bool:
        if "." not in host or host.endswith(".localhost") or not self._allowed.isdisjoint({host, "*"}):
            return True
        if any(name.startswith(".") and host.endswith(name) for name in self._allowed):
            return True
        try:
            ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True
