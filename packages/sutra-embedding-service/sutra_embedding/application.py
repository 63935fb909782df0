"""The application: POST /embed."""

import asyncio
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, FastAPI
from pydantic_core import to_json
from starlette.responses import Response
from sutra_service import processors
from sutra_service.application import create_app
from sutra_service.body import JsonRoute
from sutra_service.errors import ErrorReply, ServiceError
from sutra_service.readiness import StartError
from sutra_service.settings import Environment, Settings

from sutra_embedding.encoder import Encoder, Vectors
from sutra_embedding.engines import ENGINES, load
from sutra_embedding.errors import ModelError
from sutra_embedding.limits import LIMITS, Limits
from sutra_embedding.line import Line
from sutra_embedding.requests import EmbedReply, EmbedRequest

SERVICE = "embedding"
PORT = 8888
DEFAULT_MODEL = "/opt/models/all-MiniLM-L6-v2"
# A float32 has no more, and a number of 17 digits would be twice as long to send.
DECIMALS = 8
# Characters of a library's own message that `/health` repeats.
MOST_REASON = 600

logger = getLogger(__name__)


def read_settings(environment: Environment) -> Settings:
    """The shared settings, for this service."""
    return Settings.read(environment, SERVICE, PORT)


def create(settings: Settings, environment: Environment) -> FastAPI:
    """The service, as its environment wants it. Raises SettingError for a value that cannot be used.

    `app.state.encoder` is there once the service is ready.
    """
    limits = LIMITS[settings.edition]
    path = Path(environment.text("MODEL_DIR", DEFAULT_MODEL))
    engine = environment.choice("SUTRA_EMBEDDING_ENGINE", ENGINES, "onnx")
    threads = environment.integer("SUTRA_EMBEDDING_THREADS", processors.usable(), 1, 256)
    line = Line(
        environment.integer("SUTRA_EMBEDDING_PLACES", 64, 1, 10_000),
        environment.integer("SUTRA_EMBEDDING_DEADLINE_SECONDS", 9, 1, 600),
    )

    async def start() -> None:
        try:
            app.state.encoder = await asyncio.to_thread(load, path, engine, threads)
        except ModelError as error:
            raise StartError(str(error)) from None
        except Exception as error:
            # Whatever else a damaged folder leads to would be there again after a restart.
            logger.exception("the model could not be loaded")
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:MOST_REASON]
            raise StartError(f"{path} cannot be loaded: {reason}; copy the folder again") from error

    app = create_app(
        settings,
        title="Sutra embedding",
        max_body_bytes=limits.max_body_bytes,
        start=start,
        health_fields={"limits": limits.fields(), "model": path.name},
    )
    app.include_router(_routes(app, settings.edition, limits, line))
    return app


def _routes(app: FastAPI, edition: str, limits: Limits, line: Line) -> APIRouter:
    router = APIRouter(route_class=JsonRoute, tags=["sutra"])
    documented: dict[int | str, dict[str, Any]] = {503: {"model": ErrorReply}}

    @router.post("/embed", response_model=EmbedReply, responses=documented)
    async def embed(request: EmbedRequest) -> Response:
        """The vectors of texts, in their order. What is longer than the model's length is cut off there."""
        app.state.readiness.require()
        texts = [request.text] if request.texts is None else request.texts
        _within(texts, "body.texts" if request.texts else "body.text", limits, edition)
        encoder: Encoder = app.state.encoder
        vectors = await line.embed(encoder, texts)
        # Written here: the framework would look at each number first.
        return Response(answer(encoder, vectors), media_type="application/json")

    return router


def answer(encoder: Encoder, vectors: Vectors) -> bytes:
    """The body of an EmbedReply, with embeddings rounded to DECIMALS."""
    rounded = np.round(vectors.astype(np.float64), DECIMALS).tolist()
    return to_json({"embeddings": rounded, "dimension": encoder.dimension, "model": encoder.name})


def _within(texts: list[str], field: str, limits: Limits, edition: str) -> None:
    if len(texts) > limits.max_texts:
        raise _beyond(field, f"{len(texts)} texts", limits.max_texts, edition)
    for index, text in enumerate(texts):
        if len(text) > limits.max_text_characters:
            place = f"{field}[{index}]" if field.endswith("s") else field
            raise _beyond(place, f"{len(text)} characters", limits.max_text_characters, edition)


def _beyond(field: str, given: str, most: int, edition: str) -> ServiceError:
    message = f"{field}: {given} given, at most {most} in edition {edition}; send less in one call"
    return ServiceError(422, "beyond_limit", message)
