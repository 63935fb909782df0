"""Lists, shows and deletes texts that were learned, whatever number of concepts storage keeps of each."""

from sutra_service.errors import ServiceError

from sutra_hybrid.deletions import Deletions
from sutra_hybrid.passages import Place, about, join, passage_id, place_of
from sutra_hybrid.requests import ConceptsReply, LearnedText
from sutra_hybrid.storage import MAX_PAGE, Page, Sources, Storage, Stored

# The most calls for one list.
MAX_CALLS = 20


class Catalogue:
    """The texts in storage. Raises ServiceError as Dependency does."""

    def __init__(self, storage: Storage, deletions: Deletions) -> None:
        self._storage = storage
        self._deletions = deletions

    async def list(self, limit: int, cursor: str | None, source: str | None) -> ConceptsReply:
        """A page of texts, in the order of their ids. It may have fewer than `limit` although there are more."""
        texts: list[LearnedText] = []
        # Passages of the last text that are still to come; they are listed together.
        last, rest = "", 0
        for _ in range(MAX_CALLS):
            room = limit - len(texts)
            page = await self._storage.page(min(room + rest, MAX_PAGE), cursor, source)
            found = _texts(page)
            if len(found) > room:
                # Fewer passages than expected: somebody else deleted some.
                page = await self._storage.page(room, cursor, source)
                found = _texts(page)
            texts += found
            cursor = page.next
            if cursor is None or len(texts) == limit:
                break
            last, rest = _to_come(page, last, rest)
        return ConceptsReply(concepts=texts, next=cursor)

    async def get(self, text_id: str) -> LearnedText:
        """A text, put together from its passages. Raises 404 not_found."""
        first, place = await self._first(text_id)
        if place.of == 1:
            return _shown(first, place)
        others = await self._storage.passages(text_id)
        passages = [(place_of(concept.id, concept.metadata), concept.text) for concept in (first, *others.values())]
        whole = join(passage for passage in passages if passage[0].text_id == text_id and passage[0].of == place.of)
        return _shown(first, place).model_copy(update={"text": whole})

    async def delete(self, text_id: str) -> int:
        """Delete a text with all its passages. Raises 404 not_found."""
        async with self._deletions.deleting(text_id=text_id):
            await self._first(text_id)
            if not await self._delete_all(text_id):
                raise _not_found(text_id)
        return 1

    async def delete_source(self, source: str) -> int:
        """Delete all texts of a source; returns the number of concepts."""
        async with self._deletions.deleting(source=source) as begun:
            deleted = await self._storage.delete_source(source)
            # Passages of an earlier version of the text may be of another source.
            for text_id in begun:
                deleted += await self._delete_all(text_id)
        return deleted

    async def sources(self, limit: int, cursor: str | None) -> Sources:
        """A page of sources, with their numbers of concepts."""
        return await self._storage.sources(limit, cursor)

    async def _delete_all(self, text_id: str) -> int:
        # Also those that learning could not delete. The first one goes last: until then the text can be deleted again.
        others = [passage_id(text_id, number) for number in await self._storage.passages(text_id)]
        return await self._storage.delete([*others, text_id])

    async def _first(self, text_id: str) -> tuple[Stored, Place]:
        concept = await self._storage.concept(text_id) if text_id else None
        if concept is None:
            raise _not_found(text_id)
        place = place_of(concept.id, concept.metadata)
        if place.number > 1:
            raise _not_found(text_id, f"it is passage {place.number} of {place.text_id}; use that id")
        return concept, place


def _texts(page: Page) -> list[LearnedText]:
    placed = [(concept, place_of(concept.id, concept.metadata)) for concept in page.concepts]
    return [_shown(concept, place) for concept, place in placed if place.number == 1]


def _to_come(page: Page, last: str, rest: int) -> tuple[str, int]:
    """The last text of a page, and how many of its passages follow."""
    if not page.concepts:
        return last, rest
    place = place_of(page.concepts[-1].id, page.concepts[-1].metadata)
    here = sum(place_of(concept.id, concept.metadata).text_id == place.text_id for concept in page.concepts)
    expected = rest if place.text_id == last else place.of
    return place.text_id, max(0, expected - here)


def _shown(concept: Stored, place: Place) -> LearnedText:
    source, title, metadata = about(concept.metadata)
    passages = place.of if place.of > 1 else None
    return LearnedText(
        id=place.text_id, text=concept.text, source=source, title=title, metadata=metadata, passages=passages
    )


def _not_found(text_id: str, why: str = "list the known ones with GET /concepts") -> ServiceError:
    return ServiceError(404, "not_found", f"unknown text: {text_id!r}; {why}")
