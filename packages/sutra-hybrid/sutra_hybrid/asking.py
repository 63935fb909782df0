"""Answers questions with citations, and finds their topics."""

import asyncio
from collections.abc import Collection

from sutra_hybrid.capabilities import DIVERSE_RANKING
from sutra_hybrid.diversity import diversify
from sutra_hybrid.nlg import Fact, Nlg
from sutra_hybrid.recall import Candidates, Recall
from sutra_hybrid.requests import QueryReply, Scores, Topic, TopicConcept
from sutra_hybrid.storage import Storage
from sutra_hybrid.topics import find_topics

# Diverse ranking considers three times as many concepts as requested, but at most thirty more: each one
# costs a call to storage.
POOL_FACTOR = 3
POOL_EXTRA = 30
NOTHING_KNOWN = "Sutra has not learned anything about this yet."


class Asking:
    """Answers questions from the texts that recall finds. nlg accepts up to `question_characters` characters."""

    def __init__(
        self, recall: Recall, storage: Storage, nlg: Nlg, capabilities: Collection[str], question_characters: int
    ) -> None:
        self._recall = recall
        self._storage = storage
        self._nlg = nlg
        self._capabilities = capabilities
        self._question_characters = question_characters

    async def answer(self, question: str, limit: int) -> QueryReply:
        """Answer a question from at most `limit` texts, without nlg if nothing was found.

        Raises ServiceError as Dependency does.
        """
        candidates = await self._recall.find(question, limit)
        chosen = await self._choose(candidates, limit)
        if not chosen:
            return QueryReply(answer=NOTHING_KNOWN, citations=[], mode="grounded", scores={})
        facts = [self._fact(candidates, name) for name in chosen]
        answer = await self._nlg.answer(question, facts)
        corrected = candidates.corrected or ""
        if corrected and not answer.citations and len(corrected) <= self._question_characters:
            # The original question goes first: an unknown word may be a correctly spelled name.
            answer = await self._nlg.answer(corrected, facts)
        return QueryReply(
            answer=answer.answer,
            citations=answer.citations,
            mode=answer.mode,
            scores={name: _scores(candidates, name) for name in chosen},
            corrected=candidates.corrected,
        )

    async def topics(self, question: str, limit: int, count: int | None) -> list[Topic]:
        """The topics of at most `limit` texts that match a question. Raises ServiceError as Dependency does."""
        candidates = await self._recall.find(question, limit)
        ids = list(candidates.fused)[:limit]
        if not ids:
            return []
        facts = [self._fact(candidates, name) for name in ids]
        clusters = await asyncio.to_thread(find_topics, [fact.text for fact in facts], count)
        return [
            Topic(
                terms=cluster.terms,
                concepts=[TopicConcept(**facts[member].model_dump()) for member in cluster.members],
            )
            for cluster in clusters
        ]

    def _fact(self, candidates: Candidates, name: str) -> Fact:
        found = candidates.found[name]
        source, title, _ = found.about
        text = found.text(self._nlg.fact_characters)
        return Fact(id=name, text=text, score=candidates.fused[name], source=source, title=title)

    async def _choose(self, candidates: Candidates, limit: int) -> list[str]:
        """Select the texts for the answer, best first."""
        ordered = list(candidates.fused)
        if DIVERSE_RANKING not in self._capabilities or len(ordered) < 2:  # noqa: PLR2004 - nothing to diversify
            return ordered[:limit]
        pool = ordered[: min(POOL_FACTOR * limit, limit + POOL_EXTRA)]
        # One passage stands for its text.
        best = {name: candidates.found[name].best.id for name in pool}
        found = await self._storage.vectors(list(best.values()))
        vectors = {name: found[concept] for name, concept in best.items() if concept in found}
        scores = {name: candidates.fused[name] for name in pool}
        return await asyncio.to_thread(diversify, scores, vectors, limit)


def _scores(candidates: Candidates, name: str) -> Scores:
    return Scores(
        fused=candidates.fused[name],
        text=candidates.by_text.get(name),
        vector=candidates.by_vector.get(name),
        spread=candidates.by_spreading.get(name),
    )
