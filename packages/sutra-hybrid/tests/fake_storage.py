"""An in-memory sutra-storage-server that honours every parameter and limit that hybrid uses."""

import json
import math
import re
from collections.abc import Callable
from typing import Any
from unicodedata import category
from urllib.parse import parse_qsl, unquote, urlsplit

MAX_BATCH, MAX_TEXT_BYTES, MAX_METADATA_BYTES, MAX_BODY_BYTES = 1000, 40_000, 16_384, 8 << 20
MAX_RESULTS, MAX_PAGE, MAX_ID_BYTES = 100, 1000, 256

type Reply = tuple[int, Any]


class RefusalError(Exception):
    """An error answer."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.reply = status, {"error": {"code": kind, "message": message}}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


class FakeStorage:
    """Concepts by id. `page_concepts` is the most in a page, as a page also ends at a number of bytes."""

    def __init__(self) -> None:
        self.concepts: dict[str, dict[str, Any]] = {}
        self.model: str | None = None
        self.page_concepts = MAX_PAGE
        self._routes: dict[str, Callable[..., Any]] = {
            "POST /v1/concepts": self._put,
            "GET /v1/concepts": self._list,
            "DELETE /v1/concepts": self._delete_source,
            "POST /v1/delete": self._delete,
            "POST /v1/search": self._search,
            "GET /v1/sources": self._sources,
        }

    def answer(self, name: str, body: Any) -> Reply:
        """Answer a request by `METHOD /path?query`."""
        target = urlsplit(name.partition(" ")[2])
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        prefix, _, concept = target.path.rpartition("/")
        try:
            if len(json.dumps(body)) > MAX_BODY_BYTES:
                raise RefusalError(413, "body_too_large", "the body is too large")
            handler = self._routes.get(name.partition("?")[0])
            if handler is not None:
                return 200, handler(**query, **(body or {}))
            if name.startswith("GET ") and prefix == "/v1/concepts":
                return 200, self._get(unquote(concept))
            raise RefusalError(404, "not_found", f"no such route: {name}")
        except RefusalError as error:
            return error.reply
        except TypeError as error:
            return RefusalError(400, "invalid_request", f"unknown or missing field: {error}").reply

    def _put(self, concepts: list[dict[str, Any]], model: str | None = None) -> Any:
        if not 1 <= len(concepts) <= MAX_BATCH:
            raise RefusalError(400, "invalid_request", f"concepts has {len(concepts)} items")
        if model and self.model not in (None, model):
            raise RefusalError(409, "other_model", f"the vectors of this store are of model {self.model}")
        for concept in concepts:
            _check(**concept)
        ids = [concept["id"] for concept in concepts]
        if len(set(ids)) < len(ids):
            raise RefusalError(400, "invalid_request", "ids must be unique within a batch")
        self.model = model or self.model
        updated = len(self.concepts.keys() & set(ids))
        self.concepts |= {concept["id"]: concept for concept in concepts}
        return {"ids": ids, "created": len(ids) - updated, "updated": updated}

    def _list(self, limit: str = "100", cursor: str | None = None, source: str | None = None, prefix: str = "") -> Any:
        if source is not None and prefix:
            raise RefusalError(400, "invalid_request", "source and prefix are both given")
        after = _from_cursor(cursor)
        found = [
            concept
            for name, concept in sorted(self.concepts.items(), key=lambda entry: entry[0].encode())
            if name > after and name.startswith(prefix) and source in (None, _source(concept))
        ]
        page = found[: min(_number(limit, MAX_PAGE), self.page_concepts)]
        shown = [{name: value for name, value in concept.items() if name != "vector"} for concept in page]
        return {"concepts": shown, "next": _to_cursor(page[-1]["id"]) if len(found) > len(page) else None}

    def _sources(self, limit: str = "100", cursor: str | None = None) -> Any:
        names = sorted({_source(concept) for concept in self.concepts.values()} - {None}, key=str)
        after = _from_cursor(cursor)
        names = [name for name in names if name > after]
        page = names[: _number(limit, MAX_PAGE)]
        counts = [_source(concept) for concept in self.concepts.values()]
        reply = {"sources": [{"source": name, "concepts": counts.count(name)} for name in page]}
        return reply | ({"next": _to_cursor(page[-1])} if len(names) > len(page) else {})

    def _get(self, name: str) -> Any:
        if not 1 <= len(name.encode()) <= MAX_ID_BYTES or any(category(letter) == "Cc" for letter in name):
            raise RefusalError(
                400, "invalid_request", "the id in the path is empty, too long or has control characters"
            )
        if name not in self.concepts:
            raise RefusalError(404, "not_found", f"unknown concept: {name}")
        return self.concepts[name]

    def _delete(self, ids: list[str]) -> Any:
        if not 1 <= len(ids) <= MAX_BATCH:
            raise RefusalError(400, "invalid_request", f"ids has {len(ids)} items")
        return {"deleted": len([self.concepts.pop(name) for name in {*ids} if name in self.concepts])}

    def _delete_source(self, source: str) -> Any:
        found = [name for name, concept in self.concepts.items() if _source(concept) == source]
        return {"deleted": len([self.concepts.pop(name) for name in found])}

    def _search(
        self, limit: int, text: str | None = None, vector: list[float] | None = None, model: str | None = None
    ) -> Any:
        if not 1 <= limit <= MAX_RESULTS:
            raise RefusalError(400, "invalid_request", f"limit is {limit}")
        if model and self.model not in (None, model):
            raise RefusalError(409, "other_model", f"the vectors of this store are of model {self.model}")
        if text is not None:
            scored = [(float(len(words(text) & words(c["text"]))), c) for c in self.concepts.values()]
            scored = [entry for entry in scored if entry[0] > 0]
        else:
            assert vector
            scored = [(cosine(vector, c["vector"]), c) for c in self.concepts.values() if "vector" in c]
        scored.sort(key=lambda entry: (-entry[0], entry[1]["id"]))
        fields = ("id", "text", "metadata")
        results = [{name: c[name] for name in fields if name in c} | {"score": score} for score, c in scored[:limit]]
        return {"results": results}


def _check(id: str, text: str, vector: list[float] | None = None, metadata: dict[str, Any] | None = None) -> None:  # noqa: A002
    if not 1 <= len(id.encode()) <= MAX_ID_BYTES:
        raise RefusalError(400, "invalid_request", "id is empty or too long")
    if not text.strip() or len(text.encode()) > MAX_TEXT_BYTES:
        raise RefusalError(400, "invalid_request", f"text is blank or longer than {MAX_TEXT_BYTES} bytes")
    if metadata is not None and len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise RefusalError(400, "invalid_request", "metadata is too large")
    if vector is not None and not any(vector):
        raise RefusalError(400, "invalid_request", "vector is all zero")


def _number(limit: str, most: int) -> int:
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise RefusalError(400, "invalid_request", f"limit is {limit}; it must be between 1 and {most}")
    return int(limit)


def _source(concept: dict[str, Any]) -> str | None:
    source = (concept.get("metadata") or {}).get("source")
    return source if isinstance(source, str) else None


def _to_cursor(name: str) -> str:
    return name.encode().hex()


def _from_cursor(cursor: str | None) -> str:
    try:
        return bytes.fromhex(cursor or "").decode()
    except ValueError:
        raise RefusalError(400, "invalid_cursor", "cursor is invalid; use the value of `next`") from None
