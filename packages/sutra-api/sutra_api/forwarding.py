"""Passes requests on to other services, and checks what comes back."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request
from pydantic import BaseModel
from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

MAX_QUERY_FIELDS = 20


class Forwarder:
    """Passes requests on to a service. Its client errors are passed back: what is wrong comes from the caller."""

    def __init__(self, service: Dependency, variable: str) -> None:
        self._service = service
        self._variable = variable

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        may_be_missing: bool = False,
        also_forward: Collection[int] = (),
        deadline_s: float | None = None,
    ) -> dict[str, Any]:
        """Return the service's answer, a JSON object.

        Raises ServiceError. A 404 is passed back if `path` names something that may be missing. Otherwise it is from
        something else than the service, which always has the route.
        """
        try:
            answer = await self._service.call(
                method, path, body, forward_client_errors=True, also_forward=also_forward, deadline_s=deadline_s
            )
        except ServiceError as error:
            if error.status_code == HTTPStatus.NOT_FOUND and not may_be_missing:
                name = self._service.name
                message = f"the service at {self._variable} is not {name}: {error.detail}; correct {self._variable}"
                raise ServiceError(502, f"{name}_failed", message, upstream_status=404) from None
            raise
        return expect_object(self._service, answer)


def expect_object(service: Dependency, answer: Any) -> dict[str, Any]:
    """Return `answer` if it is a JSON object, else raise 502."""
    if not isinstance(answer, dict):
        raise unexpected_answer(service)
    return answer


def unexpected_answer(service: Dependency) -> ServiceError:
    """The error for an answer of another form than expected."""
    message = f"unexpected answer from {service.name}; deploy both services at the same version"
    return ServiceError(502, f"{service.name}_failed", message)


def with_query(path: str, query: BaseModel | Mapping[str, str]) -> str:
    """`path` with a query, percent-encoded. Leaves out what was not given."""
    fields = query.model_dump(exclude_none=True) if isinstance(query, BaseModel) else query
    return f"{path}?{urlencode(fields, quote_via=quote)}" if fields else path


def under(path: str, identifier: str) -> str:
    """The path of one thing in a collection."""
    return f"{path}/{quote(identifier, safe='')}"


async def check_query(request: Request) -> None:
    """Raise 422 for a query that is not percent-encoded UTF-8, or that has a field twice: others would be guesses."""
    raw = request.scope["query_string"].decode("latin-1")
    try:
        names = [name for name, _ in parse_qsl(raw, True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)]
    except UnicodeDecodeError:
        raise ServiceError(422, "invalid_request", "the query is not percent-encoded UTF-8") from None
    except ValueError:
        message = f"the query has more than {MAX_QUERY_FIELDS} fields"
        raise ServiceError(422, "invalid_request", message) from None
    for name in names:
        if names.count(name) > 1:
            raise ServiceError(422, "invalid_request", f"query.{name}: given more than once; send it once")
