import json
import logging
import sys
from collections.abc import Iterator

import pytest

from sutra_service import logs


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    logging.getLogger("uvicorn.access").filters.clear()


def access(path: str, status: int) -> None:
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", path, "1.1", status)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_fields_of_a_line(logging_restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("sutra-x", "info")
    logging.getLogger("a.b").warning("two\nlines %d", 7, extra={"texts": 3})
    (line,) = lines(capsys)
    assert line.pop("ts", "")[-1] == "Z"
    assert line == {
        "level": "warning",
        "service": "sutra-x",
        "message": "two\nlines 7",
        "logger": "a.b",
        "texts": 3,
    }


def test_the_fields_of_a_request(logging_restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("sutra-x", "info")
    access("/a?b=c", 404)
    (line,) = lines(capsys)
    assert (line["message"], line["method"], line["path"], line["status"]) == ("request", "GET", "/a?b=c", 404)


@pytest.mark.parametrize(("level", "expected"), [("info", [503]), ("debug", [200, 503])])
def test_only_failed_health_checks_are_logged(
    logging_restored: None, capsys: pytest.CaptureFixture[str], level: str, expected: list[int]
) -> None:
    logs.configure("sutra-x", level)
    access("/health", 200)
    access("/health", 503)
    assert [line["status"] for line in lines(capsys)] == expected


def test_a_traceback_stays_on_one_line() -> None:
    record = logging.makeLogRecord({"msg": "no", "levelname": "ERROR"})
    try:
        raise ValueError("boom")
    except ValueError:
        record.exc_info = sys.exc_info()
    text = logs.JsonFormatter("s").format(record)
    assert "\n" not in text
    assert "ValueError: boom" in json.loads(text)["exception"]
