"""Calls to other services on behalf of an operator."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_control.services import HYBRID, INGESTER, STORAGE, Service

# Deleting all concepts of a large source takes a while.
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Neighbours:
    """The services that operators change something in. Their state is not that of the watch."""

    hybrid: Dependency
    ingester: Dependency
    storage: Dependency

    @classmethod
    def of(cls, services: Iterable[Service]) -> "Neighbours":
        """The neighbours among all services."""
        found = {
            service.name: Dependency(service.name, service.url, service.variable, DEADLINE_S) for service in services
        }
        return cls(found[HYBRID], found[INGESTER], found[STORAGE])

    async def close(self) -> None:
        """Close the connections."""
        await self.hybrid.close()
        await self.ingester.close()
        await self.storage.close()


async def ask(service: Dependency, method: str, path: str) -> dict[str, Any]:
    """Send a request without a body and return the JSON object of the answer.

    Raises ServiceError as `Dependency.call` does; the service's 400, 404, 413 and 422 are passed on, because the
    operator chose the values.
    """
    answer = await service.call(method, path, forward_client_errors=True)
    if not isinstance(answer, dict):
        raise unexpected(service)
    return answer


def unexpected(service: Dependency) -> ServiceError:
    """502 for an answer of another shape than expected."""
    message = f"{service.name} returned an unexpected answer; deploy both services at the same version"
    return ServiceError(502, f"{service.name}_failed", message)
