"""Tests of the service as a process: its output, its signals and its imports."""

import signal
import threading
import time
from contextlib import suppress

from scrape import port_in, scrape
from support.service import running

BODY = {"question": "Is the tower red?", "facts": [{"id": "a", "text": "The tower is red.", "score": 1}]}

# The service with a model that never finishes.
ENDLESS = """
import sys, time
from sutra_nlg import __main__ as main, application
from sutra_nlg.model import generator
from sutra_service.run import run

class Endless:
    def describe(self): return {"engine": "endless"}
    def answer(self, request, stop):
        print('{"message": "at work"}', flush=True)
        while True:
            stop.check()
            time.sleep(0.01)

generator.Generator.load = classmethod(lambda *_: Endless())
run(main.load)
"""


def test_it_answers_and_stops_on_sigterm() -> None:
    with running() as service:
        service.wait_for("running on")
        status, answer = service.call("/generate", BODY)
        assert (status, answer["answer"]) == (200, "The tower is red. [1]")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(5) == 0


def test_grounded_mode_loads_no_model_library() -> None:
    code = """
import sys
from starlette.testclient import TestClient
from sutra_nlg import application
from sutra_service.settings import Environment
environment = Environment({})
with TestClient(application.create(application.read_settings(environment), environment)) as client:
    assert client.post("/generate", json=%r).status_code == 200
loaded = {"numpy", "llama_cpp", "torch", "transformers", "sutra_nlg.model.engine"} & set(sys.modules)
print('{"message": "loaded %%s"}' %% sorted(loaded))
"""
    with running("-c", code % BODY) as service:
        assert service.wait_for("loaded")["message"] == "loaded []"


def test_an_invalid_setting_is_reported_before_anything_starts() -> None:
    with running(NLG_CHAT_FORMAT="morse") as service:
        _, errors = service.process.communicate(timeout=10)
    assert service.process.returncode == 2
    assert "NLG_CHAT_FORMAT='morse'" in errors
    assert "Traceback" not in errors


def test_an_endless_answer_does_not_prevent_shutdown() -> None:
    with running("-c", ENDLESS, MODEL_DIR="/endless") as service:
        service.wait_for("running on")

        def ask() -> None:
            with suppress(OSError, ValueError):
                service.call("/generate", BODY)

        asking = threading.Thread(target=ask)
        asking.start()
        service.wait_for("at work")
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
        assert time.monotonic() - began < 10
        asking.join()


def test_an_endless_answer_times_out() -> None:
    with running("-c", ENDLESS, MODEL_DIR="/endless", NLG_DEADLINE_SECONDS="1") as service:
        service.wait_for("running on")
        for _ in range(2):
            status, answer = service.call("/generate", BODY)
            assert (status, answer["error"]["code"]) == (504, "timeout")
        assert service.call("/health")[0] == 200


def test_metrics() -> None:
    with running(METRICS_PORT="0") as service:
        port = port_in(service.wait_for("metrics at port")["message"])
        service.wait_for("running on")
        assert service.call("/generate", BODY)[0] == 200
        found = scrape(port)
    assert found['sutra_http_requests_total{method="POST",route="/generate",status="200"}'] == 1
    assert found['sutra_build_info{service="nlg",version="0.0.0",edition="simple"}'] == 1
