"""The application: POST /generate answers with quoted sentences or through a language model."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from sutra_service.application import create_app
from sutra_service.body import JsonRoute
from sutra_service.errors import ErrorReply, ServiceError
from sutra_service.settings import Environment, Settings

from sutra_nlg.grounded.answer import answer as grounded_answer
from sutra_nlg.limits import LIMITS, Limits
from sutra_nlg.model import chat
from sutra_nlg.requests import GenerateReply, GenerateRequest
from sutra_nlg.work import Stop, Worker

SERVICE = "nlg"
PORT = 8003
DOCUMENTED_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorReply} for status in (503, 504)}

type Answer = Callable[[GenerateRequest, Stop], GenerateReply]


def read_settings(environment: Environment) -> Settings:
    """Read the settings of this service."""
    return Settings.read(environment, SERVICE, PORT)


def create(settings: Settings, environment: Environment) -> FastAPI:
    """Create the application. Raises SettingError for an invalid environment variable."""
    limits = LIMITS[settings.edition]
    folder = environment.text("MODEL_DIR")
    threads = environment.integer("NLG_THREADS", 0, 0, 256)
    chat_format = environment.choice("NLG_CHAT_FORMAT", tuple(chat.FORMATS), "plain")
    worker = Worker(limits.max_waiting, environment.integer("NLG_DEADLINE_SECONDS", 18, 1, 600))
    # Shown by `/health`; "model" is added once it is loaded.
    shown: dict[str, Any] = {"limits": limits.fields(), "mode": "model" if folder else "grounded"}

    def grounded(request: GenerateRequest, stop: Stop) -> GenerateReply:
        return grounded_answer(request.question, request.facts, limits.max_answer_sentences, stop)

    answers: list[Answer] = []

    async def start() -> None:
        if not folder:
            answers.append(grounded)
            return
        # Only this mode needs the engines and their imports.
        from sutra_nlg.model.generator import Generator  # noqa: PLC0415

        generator = await asyncio.to_thread(Generator.load, Path(folder), limits, chat_format, threads)
        shown["model"] = generator.describe()
        answers.append(generator.answer)

    app = create_app(
        settings, title="Sutra answers", max_body_bytes=limits.max_body_bytes, start=start, health_fields=shown
    )

    async def generate(request: GenerateRequest) -> GenerateReply:
        app.state.readiness.require()
        return await worker.run(lambda stop: answers[0](request, stop))

    app.include_router(_routes(settings.edition, limits, generate))
    return app


def _routes(edition: str, limits: Limits, answer: Callable[[GenerateRequest], Any]) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, responses=DOCUMENTED_ERRORS, tags=["answers"])

    @router.post("/generate")
    async def generate(request: GenerateRequest) -> GenerateReply:
        """Answer a question from the given facts, and cite those that the answer uses."""
        _check(request, limits, edition)
        return await answer(request)

    return router


def _check(request: GenerateRequest, limits: Limits, edition: str) -> None:
    _check_limit("body.question", len(request.question), "characters", limits.max_question_characters, edition)
    _check_limit("body.facts", len(request.facts), "facts", limits.max_facts, edition)
    seen: dict[str, int] = {}
    for index, fact in enumerate(request.facts):
        _check_limit(f"body.facts[{index}].text", len(fact.text), "characters", limits.max_fact_characters, edition)
        if fact.id in seen:
            message = f"body.facts[{index}].id: duplicate of body.facts[{seen[fact.id]}].id; give each fact its own id"
            raise ServiceError(422, "duplicate_id", message)
        seen[fact.id] = index


def _check_limit(field: str, given: int, unit: str, most: int, edition: str) -> None:
    if given > most:
        message = f"{field}: {given} {unit}, but edition {edition} allows at most {most}; send less per request"
        raise ServiceError(422, "beyond_limit", message)
