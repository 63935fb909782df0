"""The application: POST /embed and POST /passages."""

import asyncio
from logging import getLogger
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic_core import to_json
from starlette.responses import Response
from sutra_service import processors
from sutra_service.application import create_app
from sutra_service.body import JsonRoute
from sutra_service.errors import ErrorReply, ServiceError
from sutra_service.metrics import Counter
from sutra_service.readiness import StartError
from sutra_service.settings import Environment, SettingError, Settings

from sutra_embedding.encoder import Encoder, Vectors
from sutra_embedding.engines import ENGINES, PRECISIONS, load
from sutra_embedding.errors import ModelError
from sutra_embedding.limits import LIMITS, Limits
from sutra_embedding.requests import EmbedReply, EmbedRequest, PassagesReply, PassagesRequest
from sutra_embedding.work_queue import WorkQueue

SERVICE = "embedding"
PORT = 8888
DEFAULT_MODEL = "/opt/models/all-MiniLM-L6-v2"
# Maximum length of a library's error message in `/health`.
MAX_REASON = 600

logger = getLogger(__name__)


def read_settings(environment: Environment) -> Settings:
    """Read the settings of this service."""
    return Settings.read(environment, SERVICE, PORT)


def create(settings: Settings, environment: Environment) -> FastAPI:
    """Create the application. Raises SettingError for an invalid environment variable.

    `app.state.encoder` is set once the service is ready.
    """
    limits = LIMITS[settings.edition]
    path = Path(environment.text("MODEL_DIR", DEFAULT_MODEL))
    engine = environment.choice("SUTRA_EMBEDDING_ENGINE", ENGINES, "onnx")
    precision = _precision(environment, engine, settings.edition)
    threads = environment.integer("SUTRA_EMBEDDING_THREADS", processors.usable(), 1, 256)
    queue = WorkQueue(
        environment.integer("SUTRA_EMBEDDING_PLACES", 64, 1, 10_000),
        environment.integer("SUTRA_EMBEDDING_DEADLINE_SECONDS", 9, 1, 600),
    )

    health_fields: dict[str, Any] = {"limits": limits.fields(), "model": path.name}

    async def start() -> None:
        try:
            app.state.encoder = await asyncio.to_thread(load, path, engine, threads, precision)
            health_fields["max_tokens"] = app.state.encoder.max_tokens
        except ModelError as error:
            raise StartError(str(error)) from None
        except Exception as error:
            # Most likely a damaged folder, so a restart would not help.
            logger.exception("cannot load the model")
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON]
            raise StartError(f"cannot load {path}: {reason}; copy the folder again") from error

    app = create_app(
        settings,
        title="Sutra embedding",
        max_body_bytes=limits.max_body_bytes,
        start=start,
        health_fields=health_fields,
    )
    about = "Requests in the queue, including the one being processed."
    app.state.metrics.gauge("sutra_embedding_waiting", about, queue.waiting)
    embedded = app.state.metrics.counter("sutra_embedding_texts_total", "Texts embedded.")
    app.include_router(_routes(app, settings.edition, limits, queue, embedded))
    return app


def _precision(environment: Environment, engine: str, edition: str) -> str:
    precision = environment.choice("SUTRA_EMBEDDING_PRECISION", PRECISIONS, "float32")
    if precision != "float32" and (edition != "enterprise" or engine != "onnx"):
        raise SettingError(
            f"SUTRA_EMBEDDING_PRECISION={precision} needs edition enterprise and engine onnx, but got edition "
            f"{edition} and engine {engine}; remove it, or use the optimized image of edition enterprise"
        )
    return precision


def _routes(app: FastAPI, edition: str, limits: Limits, queue: WorkQueue, embedded: Counter) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["sutra"])
    documented: dict[int | str, dict[str, Any]] = {503: {"model": ErrorReply}}

    @router.post("/embed", response_model=EmbedReply, responses=documented)
    async def embed(request: EmbedRequest) -> Response:
        """Embed texts, in order. Longer texts are truncated to the model's maximum length."""
        app.state.readiness.require()
        texts = [request.text] if request.texts is None else request.texts
        _check_limits(texts, "body.texts" if request.texts else "body.text", limits, edition)
        encoder: Encoder = app.state.encoder
        vectors = await queue.embed(encoder, texts)
        embedded.add(by=len(texts))
        # Serialized here, because FastAPI would validate every number.
        return Response(answer(encoder, vectors), media_type="application/json")

    @router.post("/passages", response_model=PassagesReply, responses=documented)
    async def passages(request: PassagesRequest) -> Response:
        """Cut texts into overlapping passages that the model reads completely."""
        app.state.readiness.require()
        # Of any length: only a part of a text is tokenized at a time.
        _check_number(request.texts, "body.texts", limits, edition)
        encoder: Encoder = app.state.encoder
        found = await queue.cut(encoder, request.texts)
        places = [[passage._asdict() for passage in passages] for passages in found]
        return Response(to_json({"passages": places, "max_tokens": encoder.max_tokens}), media_type="application/json")

    return router


def answer(encoder: Encoder, vectors: Vectors) -> bytes:
    """The JSON of an EmbedReply."""
    return to_json({"embeddings": vectors, "dimension": encoder.dimension, "model": encoder.name})


def _check_number(texts: list[str], field: str, limits: Limits, edition: str) -> None:
    if len(texts) > limits.max_texts:
        raise _over_limit(field, f"{len(texts)} texts", limits.max_texts, edition)


def _check_limits(texts: list[str], field: str, limits: Limits, edition: str) -> None:
    _check_number(texts, field, limits, edition)
    for index, text in enumerate(texts):
        if len(text) > limits.max_text_characters:
            place = f"{field}[{index}]" if field.endswith("s") else field
            raise _over_limit(place, f"{len(text)} characters", limits.max_text_characters, edition)


def _over_limit(field: str, given: str, most: int, edition: str) -> ServiceError:
    message = f"{field}: {given}, but edition {edition} allows at most {most}; send less per request"
    return ServiceError(422, "beyond_limit", message)
