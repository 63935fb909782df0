"""Validates the answers of other services, and groups what is sent to them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError


def parse[Model: BaseModel](dependency: Dependency, model: type[Model], reply: Any) -> Model:
    """The answer as a model. Raises 502 NAME_failed if it is not one."""
    try:
        return model.model_validate(reply)
    except ValidationError:
        raise failed(dependency, "returned an unexpected answer") from None


def failed(dependency: Dependency, what: str) -> ServiceError:
    """502 NAME_failed: the service did something wrong."""
    message = f"{dependency.name} {what}; deploy all services at the same version, or check its log"
    return ServiceError(502, f"{dependency.name}_failed", message)


def group[Item](
    items: Iterable[Item], most: int, size_of: Callable[[Item], int], most_size: int
) -> Iterator[list[Item]]:
    """Groups of at most `most` items, and of at most `most_size` unless a single item is larger."""
    batch: list[Item] = []
    size = 0
    for item in items:
        more = size_of(item)
        if batch and (len(batch) == most or size + more > most_size):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch
