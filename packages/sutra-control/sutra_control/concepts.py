"""Browses and deletes what was taught, through hybrid."""

from typing import Any
from urllib.parse import quote, urlencode

from sutra_service.dependency import Dependency

from sutra_control.jobs import is_number
from sutra_control.neighbour import ask, unexpected

# What hybrid says of a text; absent fields are left out.
FIELDS = {"source": str, "title": str, "metadata": dict, "passages": int}


async def read_page(hybrid: Dependency, limit: int, cursor: str = "", source: str = "") -> dict[str, Any]:
    """List texts, at most `limit`, of one source or of all. Raises ServiceError if it fails."""
    return await _list(hybrid, "concepts", _concept, {"limit": limit, "cursor": cursor, "source": source})


async def read_sources(hybrid: Dependency, limit: int, cursor: str = "") -> dict[str, Any]:
    """List sources with the number of their concepts. Raises ServiceError if it fails."""
    return await _list(hybrid, "sources", _source, {"limit": limit, "cursor": cursor})


async def read_one(hybrid: Dependency, concept_id: str) -> dict[str, Any]:
    """Read a whole text. Raises ServiceError if it fails: 404 for an unknown one."""
    found = _concept(await ask(hybrid, "GET", _path(concept_id)))
    if found is None:
        raise unexpected(hybrid)
    return found


async def delete_one(hybrid: Dependency, concept_id: str) -> int:
    """Delete a text with its passages. Returns 1. Raises ServiceError if it fails: 404 for an unknown one."""
    return await _delete(hybrid, _path(concept_id))


async def delete_source(hybrid: Dependency, source: str) -> int:
    """Delete everything of `source`. Returns the number of concepts. Raises ServiceError if it fails."""
    if not source:
        raise ValueError("a source is required")
    return await _delete(hybrid, f"/concepts?{urlencode({'source': source})}")


async def _list(hybrid: Dependency, kind: str, read: Any, query: dict[str, Any]) -> dict[str, Any]:
    given = urlencode({name: value for name, value in query.items() if value != ""})
    answer = await ask(hybrid, "GET", f"/{kind}?{given}")
    found, following = answer.get(kind), answer.get("next")
    entries = [read(entry) for entry in found] if isinstance(found, list) else [None]
    if None in entries or not isinstance(following, str | None):
        raise unexpected(hybrid)
    return {kind: entries, "next": following}


async def _delete(hybrid: Dependency, path: str) -> int:
    deleted = (await ask(hybrid, "DELETE", path)).get("deleted")
    if not is_number(deleted):
        raise unexpected(hybrid)
    return int(deleted)


def _path(concept_id: str) -> str:
    return f"/concepts/{quote(concept_id, safe='')}"


def _concept(entry: Any) -> dict[str, Any] | None:
    """The known fields of a text; None if `entry` is no text."""
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not isinstance(entry.get("text"), str):
        return None
    known = {name: entry[name] for name, kind in FIELDS.items() if type(entry.get(name)) is kind}
    return {"id": entry["id"], "text": entry["text"], **known}


def _source(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("source"), str) or not is_number(entry.get("concepts")):
        return None
    return {"source": entry["source"], "concepts": entry["concepts"]}
