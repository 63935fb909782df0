"""The application: routes to learn, query, list topics, list and delete texts, and list capabilities."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from sutra_service.application import create_app
from sutra_service.body import JsonRoute
from sutra_service.disconnect import while_connected
from sutra_service.errors import ErrorReply, ServiceError, not_in_edition
from sutra_service.settings import Environment, Settings

from sutra_hybrid.asking import Asking
from sutra_hybrid.budget import TimedDependency, limited
from sutra_hybrid.capabilities import CAPABILITIES, TOPICS, check_libraries, editions_with
from sutra_hybrid.catalogue import Catalogue
from sutra_hybrid.deletions import Deletions
from sutra_hybrid.embedding import Embedding
from sutra_hybrid.identity import MAX_MARKS, find_excess_marks
from sutra_hybrid.learning import learn
from sutra_hybrid.limits import FACT_CHARACTERS, LIMITS, Limits
from sutra_hybrid.nlg import Nlg
from sutra_hybrid.recall import Recall
from sutra_hybrid.requests import (
    CapabilitiesReply,
    ConceptsReply,
    DeletedReply,
    LearnedText,
    LearnReply,
    LearnRequest,
    LearnText,
    PingReply,
    QueryReply,
    QueryRequest,
    TopicsReply,
    TopicsRequest,
)
from sutra_hybrid.storage import Sources, Storage

SERVICE = "hybrid"
PORT = 8001
DOCUMENTED_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorReply} for status in (502, 503, 504)}


def read_settings(environment: Environment) -> Settings:
    """Read the settings of this service."""
    return Settings.read(environment, SERVICE, PORT)


def create(settings: Settings, environment: Environment, clock: Callable[[], float] = time.monotonic) -> FastAPI:
    """Create the application.

    Raises SettingError for an invalid environment variable, and for an edition whose libraries are missing.
    """
    check_libraries(settings.edition)
    limits = LIMITS[settings.edition]
    capabilities = CAPABILITIES[settings.edition]
    deadline_s = environment.integer("SUTRA_HYBRID_DEADLINE_SECONDS", 10, 1, 600)
    # Longer for nlg: embedding and searching take milliseconds, a language model takes seconds.
    nlg_deadline_s = environment.integer("SUTRA_HYBRID_NLG_DEADLINE_SECONDS", 20, 1, 600)
    # Less than the 30 s that sutra-api waits, so that it still gets an error that names the slow service.
    question_s = environment.integer("SUTRA_HYBRID_QUESTION_SECONDS", 28, 1, 600)
    min_cosine = environment.integer("SUTRA_HYBRID_MIN_COSINE_PERCENT", 20, 0, 100) / 100

    def dependency(name: str, variable: str, address: str, seconds: int) -> TimedDependency:
        return TimedDependency(name, environment.url(variable, address), variable, seconds, clock)

    to_embedding = dependency("embedding", "EMBEDDING_URL", "http://embedding-single:8888", deadline_s)
    to_storage = dependency("storage", "STORAGE_URL", "http://storage-server:50051", deadline_s)
    to_nlg = dependency("nlg", "NLG_URL", "http://nlg-service:8003", nlg_deadline_s)
    embedding, storage = Embedding(to_embedding), Storage(to_storage)
    nlg = Nlg(to_nlg, FACT_CHARACTERS[settings.edition])
    recall = Recall(embedding, storage, min_cosine, capabilities)
    asking = Asking(recall, storage, nlg, capabilities, limits.max_question_characters)

    app = create_app(
        settings,
        title="Sutra hybrid",
        max_body_bytes=limits.max_body_bytes,
        dependencies=(to_embedding, to_storage, to_nlg),
        health_fields={"limits": limits.fields()},
    )
    learned = app.state.metrics.counter("sutra_hybrid_texts_learned_total", "Texts learned.")
    deletions = Deletions()

    async def learn_all(texts: Sequence[LearnText]) -> LearnReply:
        reply = await learn(texts, embedding, storage, deletions)
        learned.add(by=reply.learned)
        return reply

    app.include_router(_learning(settings.edition, limits, learn_all))
    app.include_router(_asking(settings.edition, limits, asking, lambda: limited(question_s, clock)))
    app.include_router(_catalogue(Catalogue(storage, deletions)))
    app.include_router(_about(settings.edition))
    return app


def _learning(
    edition: str, limits: Limits, learn_all: Callable[[Sequence[LearnText]], Coroutine[Any, Any, LearnReply]]
) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, responses=DOCUMENTED_ERRORS, tags=["sutra"])

    @router.post("/learn")
    async def learn_texts(request: LearnRequest, connection: Request) -> LearnReply:
        """Learn texts. Answers once they are stored durably. Safe to repeat. Ends if the client disconnects."""
        if len(request.texts) > limits.max_texts:
            raise _over_limit("body.texts", f"{len(request.texts)} texts", limits.max_texts, edition)
        for index, item in enumerate(request.texts):
            _check_length(f"body.texts[{index}]", item.text, limits.max_text_characters, edition)
        place = await asyncio.to_thread(find_excess_marks, [item.text for item in request.texts])
        if place is not None:
            message = f"body.texts[{place}]: more than {MAX_MARKS} combining marks in a row; remove the excess marks"
            raise ServiceError(422, "invalid_request", message)
        return await while_connected(connection, learn_all(request.texts))

    return router


def _asking(
    edition: str, limits: Limits, asking: Asking, time_limit: Callable[[], AbstractContextManager[None]]
) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, responses=DOCUMENTED_ERRORS, tags=["sutra"])

    @router.post("/query", response_model_exclude_none=True)
    async def query(request: QueryRequest) -> QueryReply:
        """Answer a question from the learned texts, with citations."""
        _check_length("body.question", request.question, limits.max_question_characters, edition)
        if request.limit > limits.max_results:
            raise _over_limit("body.limit", f"{request.limit}", limits.max_results, edition)
        with time_limit():
            return await asking.answer(request.question, request.limit)

    if TOPICS not in CAPABILITIES[edition]:

        @router.post("/topics", responses={403: {"model": ErrorReply}})
        async def no_topics() -> None:
            """Not available in this edition."""
            raise not_in_edition(TOPICS, edition, editions_with(TOPICS))

        return router

    @router.post("/topics", response_model_exclude_none=True)
    async def topics(request: TopicsRequest) -> TopicsReply:
        """List the topics of the learned texts that match a question."""
        _check_length("body.question", request.question, limits.max_question_characters, edition)
        with time_limit():
            return TopicsReply(topics=await asking.topics(request.question, request.limit, request.topics))

    return router


def _catalogue(catalogue: Catalogue) -> APIRouter:
    router = APIRouter(responses=DOCUMENTED_ERRORS, tags=["sutra"])
    missing: dict[int | str, dict[str, Any]] = {404: {"model": ErrorReply}}

    @router.get("/concepts", response_model_exclude_none=True)
    async def list_concepts(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
        source: Annotated[str | None, Query(min_length=1)] = None,
    ) -> ConceptsReply:
        """List the learned texts, all or those of a source. Go on with `next` as `cursor` until there is none."""
        return await catalogue.list(limit, cursor, source)

    @router.delete("/concepts")
    async def delete_source(source: Annotated[str, Query(min_length=1)]) -> DeletedReply:
        """Delete all texts of a source. Answers with the number of concepts: one for each passage."""
        return DeletedReply(deleted=await catalogue.delete_source(source))

    # A path, because other clients of storage may use ids with a slash.
    @router.get("/concepts/{text_id:path}", response_model_exclude_none=True, responses=missing)
    async def get_concept(text_id: str) -> LearnedText:
        """Show a text as a whole."""
        return await catalogue.get(text_id)

    @router.delete("/concepts/{text_id:path}", responses=missing)
    async def delete_concept(text_id: str) -> DeletedReply:
        """Delete a text."""
        return DeletedReply(deleted=await catalogue.delete(text_id))

    @router.get("/sources", response_model_exclude_none=True)
    async def list_sources(limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: str | None = None) -> Sources:
        """List the sources of texts, with their numbers of concepts."""
        return await catalogue.sources(limit, cursor)

    return router


def _about(edition: str) -> APIRouter:
    router = APIRouter(tags=["operation"])

    @router.get("/ping")
    async def ping() -> PingReply:
        """Report that the service is listening, without checking its dependencies."""
        return PingReply()

    @router.get("/capabilities")
    async def capabilities() -> CapabilitiesReply:
        """List the capabilities of this edition."""
        return CapabilitiesReply(edition=edition, capabilities=list(CAPABILITIES[edition]))

    return router


def _check_length(field: str, text: str, most: int, edition: str) -> None:
    if len(text) > most:
        raise _over_limit(field, f"{len(text)} characters", most, edition)


def _over_limit(field: str, given: str, most: int, edition: str) -> ServiceError:
    message = f"{field}: {given}, but edition {edition} allows at most {most}; send less per request"
    return ServiceError(422, "beyond_limit", message)
