"""Asking: from a question to an answer with its citations, or to the topics around it."""

import asyncio
from collections.abc import Collection

from sutra_hybrid.capabilities import DIVERSE_RANKING
from sutra_hybrid.diversity import diversify
from sutra_hybrid.neighbours import Hit, Nlg, Storage
from sutra_hybrid.recall import Candidates, Recall
from sutra_hybrid.requests import QueryReply, Scores, Topic, TopicConcept
from sutra_hybrid.topics import find_topics

# Diverse ranking looks at three times as many concepts as were asked for, but at no more than thirty
# beyond them: each one costs a call to storage.
POOL_TIMES = 3
POOL_BEYOND = 30
NOTHING_KNOWN = "Nothing was learned about this yet."


class Asking:
    """Answers questions with what recall finds. nlg takes questions of at most `question_characters`."""

    def __init__(
        self, recall: Recall, storage: Storage, nlg: Nlg, capabilities: Collection[str], question_characters: int
    ) -> None:
        self._recall = recall
        self._storage = storage
        self._nlg = nlg
        self._capabilities = capabilities
        self._question_characters = question_characters

    async def answer(self, question: str, limit: int) -> QueryReply:
        """The answer from at most `limit` concepts. Raises ServiceError as Dependency does.

        Where nothing was found, that is the answer: nlg is not asked to speak about nothing.
        """
        candidates = await self._recall.find(question, limit)
        chosen = await self._choose(candidates, limit)
        if not chosen:
            return QueryReply(answer=NOTHING_KNOWN, citations=[], mode="grounded", scores={})
        facts = [Hit(id=name, text=candidates.texts[name], score=candidates.fused[name]) for name in chosen]
        answer = await self._nlg.answer(question, facts)
        mended = candidates.corrected or ""
        if mended and not answer.citations and len(mended) <= self._question_characters:
            # What was guessed to be meant comes second: an unknown name may be right, and its neighbour another.
            answer = await self._nlg.answer(mended, facts)
        return QueryReply(
            answer=answer.answer,
            citations=answer.citations,
            mode=answer.mode,
            scores={name: _scores(candidates, name) for name in chosen},
            corrected=candidates.corrected,
        )

    async def topics(self, question: str, limit: int, count: int | None) -> list[Topic]:
        """The topics of at most `limit` concepts around a question. Raises ServiceError as Dependency does."""
        candidates = await self._recall.find(question, limit)
        ids = list(candidates.fused)[:limit]
        if not ids:
            return []
        clusters = await asyncio.to_thread(find_topics, [candidates.texts[name] for name in ids], count)
        return [
            Topic(
                terms=cluster.terms,
                concepts=[_topic_concept(candidates, ids[member]) for member in cluster.members],
            )
            for cluster in clusters
        ]

    async def _choose(self, candidates: Candidates, limit: int) -> list[str]:
        """The concepts for the answer, best first."""
        ordered = list(candidates.fused)
        if DIVERSE_RANKING not in self._capabilities or len(ordered) < 2:  # noqa: PLR2004 - one is never alike
            return ordered[:limit]
        pool = ordered[: min(POOL_TIMES * limit, limit + POOL_BEYOND)]
        vectors = await self._storage.vectors(pool)
        scores = {name: candidates.fused[name] for name in pool}
        return await asyncio.to_thread(diversify, scores, vectors, limit)


def _scores(candidates: Candidates, name: str) -> Scores:
    return Scores(
        fused=candidates.fused[name],
        text=candidates.by_text.get(name),
        vector=candidates.by_vector.get(name),
        spread=candidates.by_spreading.get(name),
    )


def _topic_concept(candidates: Candidates, name: str) -> TopicConcept:
    return TopicConcept(id=name, text=candidates.texts[name], score=candidates.fused[name])
