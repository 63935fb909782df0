import json
import os
from pathlib import Path
from typing import Any

import pytest

from sutra_control.images import MAX_BYTES, ImagesRecord

IMAGE = {"service": "nlg", "image": "sutra-nlg-service:latest", "bytes": 9, "edition": "simple", "variant": "optimized"}


def write(path: Path, content: Any) -> ImagesRecord:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return ImagesRecord(str(path))


def test_a_valid_record(tmp_path: Path) -> None:
    seen = write(tmp_path / "r", {"schema": 1, "images": [{**IMAGE, "digest": "later"}], "at": "later"}).read()
    assert (seen.state, seen.reason, seen.images) == ("ok", "", [IMAGE])


def test_without_a_record() -> None:
    seen = ImagesRecord("").read()
    assert seen.state == "absent"
    assert "SUTRA_IMAGES_RECORD" in seen.reason


def test_changes_of_the_file_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "record"
    record = ImagesRecord(str(path))
    assert record.read().state == "absent"
    write(path, {"schema": 1, "images": []})
    assert record.read().images == []
    write(path, {"schema": 1, "images": [IMAGE]})
    assert record.read().images == [IMAGE]
    assert record.read() is record.read()
    write(path, "{")
    assert record.read().state == "malformed"
    new = tmp_path / "new"
    write(new, {"schema": 1, "images": [IMAGE, IMAGE]})
    os.replace(new, path)
    assert len(record.read().images) == 2
    path.unlink()
    assert record.read().state == "absent"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "Invalid JSON"),
        ("[]", "object"),
        ({"schema": 2, "images": []}, "schema"),
        ({"images": []}, "schema"),
        ({"schema": 1}, "images"),
        ({"schema": 1, "images": [{**IMAGE, "bytes": "9"}]}, "images[0].bytes"),
        ({"schema": 1, "images": [{**IMAGE, "bytes": -1}]}, "images[0].bytes"),
        ({"schema": 1, "images": [IMAGE, {**IMAGE, "image": ""}]}, "images[1].image"),
        ({"schema": 1, "images": [IMAGE] * 501}, "images"),
        ("x" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_an_invalid_record_is_explained(tmp_path: Path, content: Any, words: str) -> None:
    seen = write(tmp_path / "record", content).read()
    assert (seen.state, seen.images) == ("malformed", [])
    assert words in seen.reason
    assert "run `deploy` to write it again" in seen.reason


def test_an_unreadable_record_is_reported(tmp_path: Path) -> None:
    seen = ImagesRecord(str(tmp_path)).read()
    assert seen.state == "malformed"
    assert "SUTRA_IMAGES_RECORD" in seen.reason
