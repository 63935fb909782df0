"""Keeps a deletion, and a request that learns the same text meanwhile, from leaving a part of the text behind.

A long text is stored as several concepts, by several calls. If it is deleted in between, the deletion wins: the rest of
the text is not stored. A text that is not begun, or complete, is not affected: the one happens after the other.

This holds within one process, and hybrid is one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import NamedTuple, Protocol

from sutra_service.errors import ServiceError

from sutra_hybrid.passages import About, Place


class Passage(Protocol):
    """A concept that is to be stored."""

    @property
    def place(self) -> Place:
        """Where it belongs."""

    @property
    def about(self) -> About:
        """What is known about its text."""


# The sources of texts, by id.
type Texts = Mapping[str, str | None]


class _Deletion(NamedTuple):
    """Of a text, or of all texts of a source."""

    text_id: str | None
    source: str | None

    def of(self, texts: Texts) -> list[str]:
        """Those of the texts that it deletes."""
        return [
            name
            for name, source in texts.items()
            if name == self.text_id or (source is not None and source == self.source)
        ]


class Learning:
    """The long texts of a request."""

    def __init__(self) -> None:
        # Partly stored texts.
        self.begun: dict[str, str | None] = {}
        # Of those, the ones that were deleted, and the ones whose deletion failed.
        self.deleted: set[str] = set()
        self.disturbed: set[str] = set()

    def check(self) -> None:
        """Raise 503 if the deletion of a text failed, because some passages may remain."""
        if self.disturbed:
            names = ", ".join(sorted(self.disturbed)[:3])
            message = f"texts could not be deleted while they were learned: {names}; send the request again"
            raise ServiceError(503, "deletion_failed", message, {"Retry-After": "5"})


class Deletions:
    """All calls that store or delete passages."""

    def __init__(self) -> None:
        self._learnings: list[Learning] = []
        self._storing: list[Texts] = []
        self._deleting: list[_Deletion] = []
        self._changed = asyncio.Event()

    @contextmanager
    def learning(self) -> Iterator[Learning]:
        """A request that learns texts, until the end of the block."""
        learning = Learning()
        self._learnings.append(learning)
        try:
            yield learning
        finally:
            self._learnings.remove(learning)

    @asynccontextmanager
    async def storing[P: Passage](self, learning: Learning, passages: Iterable[P]) -> AsyncIterator[list[P]]:
        """Wait for deletions of these texts, and yield the passages to store within the block, without deleted texts.

        The passages of a text come in order, in one block or several.
        """
        passages = list(passages)
        texts = {each.place.text_id: each.about.source for each in passages if each.place.of > 1}
        await self._until_no(lambda: any(deletion.of(texts) for deletion in self._deleting))
        kept = [each for each in passages if each.place.text_id not in learning.deleted]
        learning.begun |= {name: source for name, source in texts.items() if name not in learning.deleted}
        self._storing.append(texts)
        try:
            yield kept
            for each in kept:
                if each.place.number == each.place.of:
                    learning.begun.pop(each.place.text_id, None)
        finally:
            self._storing.remove(texts)
            self._wake()

    @asynccontextmanager
    async def deleting(self, *, text_id: str | None = None, source: str | None = None) -> AsyncIterator[list[str]]:
        """Wait for calls that store these texts, and yield the partly stored ones. Delete within the block."""
        deletion = _Deletion(text_id, source)
        self._deleting.append(deletion)
        try:
            await self._until_no(lambda: any(deletion.of(texts) for texts in self._storing))
            try:
                yield [name for learning in self._learnings for name in deletion.of(learning.begun)]
            except BaseException as error:
                if not (isinstance(error, ServiceError) and error.status_code == HTTPStatus.NOT_FOUND):
                    for learning in self._learnings:
                        learning.disturbed.update(deletion.of(learning.begun))
                raise
            for learning in self._learnings:
                learning.deleted.update(deletion.of(learning.begun))
        finally:
            self._deleting.remove(deletion)
            self._wake()

    async def _until_no(self, conflict: Callable[[], bool]) -> None:
        while conflict():
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
