"""The application: the page, the sign-in and the status routes."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from sutra_service.application import create_app
from sutra_service.rate import RateLimit
from sutra_service.settings import Environment, SettingError, Settings

from sutra_control import meter, page
from sutra_control.content_routes import concept_routes, job_routes
from sutra_control.gate import Gate
from sutra_control.headers import SecurityHeaders
from sutra_control.history import History
from sutra_control.images import VARIABLE as IMAGES_VARIABLE
from sutra_control.images import ImagesRecord
from sutra_control.limits import LIMITS
from sutra_control.neighbour import Neighbours
from sutra_control.passwords import Passwords
from sutra_control.routes import open_routes, status_routes
from sutra_control.services import PORT, SERVICE, Service, read_services
from sutra_control.session_routes import password_routes, session_routes
from sutra_control.sessions import Sessions
from sutra_control.signin import NAMES_OF_AN_ADDRESS, SignIn
from sutra_control.status import Status
from sutra_control.transfer import STREAMED, transfer_routes
from sutra_control.users import Users
from sutra_control.watch import Watch, Watched

# Enough for two passwords: nothing larger is sent.
MAX_BODY_BYTES = 16_000
DEFAULT_PAGE = "/usr/share/sutra-control/page"


def read_settings(environment: Environment) -> Settings:
    """Read the settings of this service."""
    return Settings.read(environment, SERVICE, PORT)


def create(settings: Settings, environment: Environment, clock: Callable[[], float] = time.monotonic) -> FastAPI:
    """Create the application. Raises SettingError for an invalid environment variable.

    `clock` returns monotonic seconds; sessions and rate limits use it.
    """
    limits = LIMITS[settings.edition]
    services = read_services(environment, settings.port)
    watch = _watch(settings, environment, services, clock)
    neighbours = Neighbours.of(services)
    sessions = Sessions(
        limits.max_sessions,
        environment.integer("SUTRA_CONTROL_IDLE_MINUTES", 30, 1, 24 * 60) * 60,
        environment.integer("SUTRA_CONTROL_SESSION_HOURS", 12, 1, 7 * 24) * 3600,
        clock,
    )
    sign_in = _sign_in(environment, sessions, clock)
    secure = environment.choice("SUTRA_CONTROL_SECURE_COOKIE", ("auto", "always"), "auto") == "always"
    status = Status(settings, watch, ImagesRecord(environment.text(IMAGES_VARIABLE)))
    files = page.read_page(Path(environment.text(page.VARIABLE, DEFAULT_PAGE)))

    # The service watches itself too, but it is not its own dependency.
    own, *others = sorted(watch.watched, key=lambda watched: watched.name != SERVICE)

    async def start() -> None:
        await watch.start(app.state.readiness.listening)

    async def stop() -> None:
        await watch.stop()
        await own.close()
        await neighbours.close()
        sign_in.close()

    app = create_app(
        settings,
        title="Sutra control",
        max_body_bytes=MAX_BODY_BYTES,
        streamed=STREAMED,
        start=start,
        stop=stop,
        dependencies=others,
        health_fields={"limits": limits.fields()},
    )
    app.include_router(open_routes(settings.edition))
    app.include_router(session_routes(sign_in, sessions, secure=secure))
    app.include_router(password_routes(sign_in, sessions, secure=secure))
    app.include_router(status_routes(settings.edition, status, watch))
    app.include_router(job_routes(neighbours.ingester))
    app.include_router(concept_routes(neighbours.hybrid))
    app.include_router(transfer_routes(neighbours.storage))
    app.routes.extend(page.routes(files))
    app.add_middleware(Gate, sessions=sessions, origins=_origins(environment), can_sign_in=lambda: sign_in.is_possible)
    # Not app.add_middleware: the handler of unexpected errors runs outside of such middleware.
    app.middleware_stack = SecurityHeaders(app.build_middleware_stack())
    return app


def _sign_in(environment: Environment, sessions: Sessions, clock: Callable[[], float]) -> SignIn:
    per_minute = environment.integer("SUTRA_CONTROL_FAILURES_PER_MINUTE", 5, 1, 1_000_000)
    burst = environment.integer("SUTRA_CONTROL_FAILURES_BURST", 5, 1, 1_000_000)
    users = Users.read(environment)
    return SignIn(
        users,
        Passwords.read(environment, users),
        sessions,
        RateLimit(per_minute, burst, clock),
        RateLimit(per_minute * NAMES_OF_AN_ADDRESS, burst * NAMES_OF_AN_ADDRESS, clock),
    )


def _watch(
    settings: Settings, environment: Environment, services: Sequence[Service], clock: Callable[[], float]
) -> Watch:
    limits = LIMITS[settings.edition]
    deadline_s = environment.integer("SUTRA_CONTROL_DEADLINE_SECONDS", 2, 1, 30)
    metrics_port = environment.integer(meter.VARIABLE, meter.PORT, 0, 65535)
    return Watch(
        [Watched(service, deadline_s, metrics_port) for service in services],
        History([service.name for service in services], limits.history_samples),
        limits.max_jobs,
        environment.integer("SUTRA_CONTROL_EVERY_SECONDS", 10, 2, 3600),
        clock,
    )


def _origins(environment: Environment) -> frozenset[str]:
    origins = [origin.strip() for origin in environment.text("SUTRA_CONTROL_ORIGINS").split(",") if origin.strip()]
    for origin in origins:
        if not _is_origin(origin):
            message = f"SUTRA_CONTROL_ORIGINS: invalid origin: {origin!r}; write it like https://control.example.org"
            raise SettingError(message)
    return frozenset(origins)


def _is_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and origin == f"{parts.scheme}://{parts.netloc}"
