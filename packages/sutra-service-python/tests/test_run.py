"""Tests of the entry point as a container runs it: one process, its output and signals."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Far longer than a shutdown takes: only keeps a failing test from hanging.
GUARD_S = 60

SERVICE = """
import asyncio, signal, threading
import uvicorn
from sutra_service.application import create_app
from sutra_service.run import run
from sutra_service.settings import Settings

async def start():
    {start}

{more}
run(lambda: (
    lambda environment: Settings.read(environment, "sutra-x", 0),
    lambda settings, environment: create_app(settings, title="X", max_body_bytes=1000, start=start),
))
"""

# A thread that cannot be interrupted, like one that loads a checkpoint.
STUCK = "await asyncio.to_thread(threading.Event().wait)"

KEEP_THE_APPLICATION = """
make = create_app

def create_app(*arguments, **options):
    global app
    app = make(*arguments, **options)
    return app
"""

SIGNAL_BEFORE_HANDLERS = """
serve = uvicorn.Server.serve

async def late(self):
    signal.raise_signal(signal.SIGTERM)
    await serve(self)

uvicorn.Server.serve = late
"""


@contextmanager
def service(start: str = "pass", more: str = "", **variables: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE.format(start=start, more=more)],
        env={"PYTHONPATH": ":".join(sys.path), "HOST": "127.0.0.1", "PORT": "0", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    assert any(words in json.loads(line)["message"] for line in process.stdout)


def test_a_service_can_wait_until_its_own_port_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = f"await app.state.readiness.listening.wait(); await asyncio.open_connection('127.0.0.1', {port})"
    with service(start, KEEP_THE_APPLICATION, PORT=str(port)) as process:
        wait_for(process, "ready")


@pytest.mark.parametrize("start", ["pass", STUCK])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_even_if_a_thread_is_stuck(start: str, number: signal.Signals) -> None:
    with service(start) as process:
        wait_for(process, "running on")
        process.send_signal(number)
        output, errors = process.communicate(timeout=GUARD_S)
    assert (process.returncode, errors) == (0, "")
    assert "Finished server process" in output, "the end of the log was lost"


def test_a_signal_before_uvicorn_installs_its_handlers() -> None:
    with service(more=SIGNAL_BEFORE_HANDLERS) as process:
        process.communicate(timeout=GUARD_S)
    assert process.returncode == 0


def test_a_failed_start_stops_it() -> None:
    with service("raise OSError('no model')") as process:
        output, _ = process.communicate(timeout=GUARD_S)
    assert process.returncode == 1
    assert "no model" in output


def test_a_port_in_use_stops_it_while_the_start_is_running() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        service(STUCK, PORT=str(taken.getsockname()[1])) as process,
    ):
        output, _ = process.communicate(timeout=GUARD_S)
    assert process.returncode == 1
    assert "address already in use" in output


def test_an_invalid_setting_is_reported_before_anything_starts() -> None:
    with service(SUTRA_EDITION="pro") as process:
        output, errors = process.communicate(timeout=GUARD_S)
    assert (process.returncode, output) == (2, "")
    assert "SUTRA_EDITION='pro'" in errors
    assert "Traceback" not in errors
