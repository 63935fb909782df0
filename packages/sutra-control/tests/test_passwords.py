"""Changing one's own password, with and without a data folder."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import PASSWORD, Stack, sign_in
from starlette.testclient import TestClient
from sutra_service.settings import Environment, SettingError

from sutra_control import passwords
from sutra_control.gate import COOKIE
from sutra_control.passwords import Passwords, weakness
from sutra_control.users import PasswordHash, Users

NEW = "seven green umbrellas"
BERT = "the password that bert has"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def reset_entry() -> str:
    return f"anna:{PasswordHash.of('a password after a reset').entry()}"


def change(client: TestClient, current: str = PASSWORD, new: str = NEW) -> Any:
    return client.post("/api/password", json={"current": current, "new": new})


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def who(client: TestClient) -> str | None:
    return client.get("/api/session").json()["operator"]


def test_a_changed_password_is_valid_at_once_and_after_a_restart(stack: Stack, data: Path) -> None:
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data))
    answer = change(client)
    assert (answer.status_code, answer.json()) == (200, {"ended_sessions": 1})
    assert sign_in(client, password=PASSWORD) == 401
    assert sign_in(client, password=NEW) == 200
    restarted = stack.client(SUTRA_CONTROL_DATA=str(data))
    assert sign_in(restarted, password=PASSWORD) == 401
    assert sign_in(restarted, password=NEW) == 200


def test_only_hashes_are_stored_and_only_the_owner_can_read_them(stack: Stack, data: Path) -> None:
    before = os.umask(0)
    try:
        assert change(stack.signed_in_client(SUTRA_CONTROL_DATA=str(data))).status_code == 200
    finally:
        os.umask(before)
    [file] = data.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("passwords.json", 0o600)
    content = file.read_text()
    assert NEW not in content
    assert PASSWORD not in content
    assert json.loads(content)["passwords"]["anna"]["entry"].startswith("scrypt$16384$8$1$")


def test_all_other_sessions_of_the_operator_end(stack: Stack, data: Path, entry: str) -> None:
    users = f"{entry},bert:{PasswordHash.of(BERT).entry()}"
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_USERS=users)
    elsewhere, bert, thief = (TestClient(client.app, base_url="http://control:9000") for _ in range(3))
    assert sign_in(elsewhere) == 200
    assert sign_in(bert, "bert", BERT) == 200
    thief.cookies.set(COOKIE, client.cookies[COOKIE])
    assert who(thief) == "anna"
    assert change(client).json() == {"ended_sessions": 2}
    assert (who(client), who(elsewhere), who(bert)) == ("anna", None, "bert")
    assert who(thief) is None, "the token of the session that changed the password is replaced too"


def test_the_new_cookie_has_the_attributes_of_sign_in(stack: Stack, data: Path) -> None:
    client = stack.client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_SECURE_COOKIE="always")
    client.base_url = "https://control:9000"
    assert sign_in(client) == 200
    cookie = change(client).headers["Set-Cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "samesite=strict", "path=/", "max-age=43200", "secure"}


def test_a_wrong_current_password_changes_nothing_and_counts_as_a_failed_sign_in(stack: Stack, data: Path) -> None:
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_FAILURES_BURST="2")
    assert [code(change(client, current="wrong")) for _ in range(3)] == [
        (403, "wrong_password"),
        (403, "wrong_password"),
        (429, "too_many_requests"),
    ]
    assert code(change(client)) == (429, "too_many_requests")
    assert list(data.iterdir()) == []
    assert who(client) == "anna", "the session goes on"
    stack.now += 60
    assert sign_in(client) == 200


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("x", "at least 15"),
        ("fourteen chars", "it has 14 characters"),
        ("abababababababab", "2 different characters"),
        ("I am ANNA, the operator", "operator's name"),
        (PASSWORD, "operator's name"),
    ],
)
def test_a_weak_password_is_refused(stack: Stack, data: Path, new: str, words: str) -> None:
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data))
    answer = change(client, new=new)
    assert code(answer) == (422, "weak_password")
    assert words in answer.json()["error"]["message"]
    assert new not in answer.json()["error"]["message"] or new == "x"
    assert sign_in(client) == 200


@pytest.mark.parametrize(
    ("name", "current", "new", "is_weak"),
    [
        ("anna", "x", "seven green umbrellas", False),
        ("anna", "seven green umbrellas", "seven green umbrellas", True),
        ("ann", "x", "annoyed green umbrellas", False),
        ("anna", "x", "\N{SNOWMAN}" * 10 + "abcdef", False),
    ],
)
def test_weakness(name: str, current: str, new: str, is_weak: bool) -> None:
    assert bool(weakness(name, current, new)) is is_weak


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"current": PASSWORD},
        {"current": "", "new": NEW},
        {"current": PASSWORD, "new": NEW * 100},
        {"current": PASSWORD, "new": [NEW]},
        {"current": PASSWORD, "new": NEW, "name": "bert"},
    ],
)
def test_an_invalid_request(stack: Stack, data: Path, body: dict[str, Any]) -> None:
    answer = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data)).post("/api/password", json=body)
    assert code(answer) == (422, "invalid_request")
    assert NEW not in answer.text
    assert PASSWORD not in answer.text


def test_without_a_folder_it_is_refused_with_what_to_do(stack: Stack) -> None:
    client = stack.signed_in_client()
    rules = client.get("/api/password").json()
    answer = change(client)
    assert code(answer) == (409, "no_data_folder")
    assert rules == {"reason": answer.json()["error"]["message"], "min_characters": 15, "min_different": 6}
    for words in ("SUTRA_CONTROL_DATA", "SUTRA_CONTROL_USERS", "sutra_control.users new NAME"):
        assert words in rules["reason"]
    assert sign_in(client) == 200


def test_the_rules_with_a_folder(stack: Stack, data: Path) -> None:
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data))
    assert client.get("/api/password").json()["reason"] == ""


def test_a_password_that_cannot_be_stored_does_not_change(
    stack: Stack, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_FAILURES_BURST="1")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(passwords.os, "fsync", full)
    for _ in range(2):
        answer = change(client)
        assert code(answer) == (503, "cannot_store"), "a full disk does not count as a wrong password"
        assert "No space left on device" in answer.json()["error"]["message"]
    monkeypatch.undo()
    assert sign_in(client) == 200
    assert change(client).status_code == 200, "the draft that was left behind does no harm"
    assert [file.name for file in data.iterdir()] == ["passwords.json"]


def test_a_password_counts_although_the_folder_cannot_be_synced(
    stack: Stack, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(passwords, "_sync_folder", broken)
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data))
    assert change(client).status_code == 200
    assert sign_in(client, password=NEW) == 200
    assert sign_in(client) == 401
    assert sign_in(stack.client(SUTRA_CONTROL_DATA=str(data)), password=NEW) == 200


def test_a_reset_in_the_environment_wins_for_good(stack: Stack, data: Path, entry: str, reset_entry: str) -> None:
    assert change(stack.signed_in_client(SUTRA_CONTROL_DATA=str(data))).status_code == 200
    reset = stack.client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_USERS=reset_entry)
    assert sign_in(reset, password=NEW) == 401
    assert sign_in(reset, password="a password after a reset") == 200
    # Back to the first entry: the password that replaced it must not come back.
    back = stack.client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_USERS=entry)
    assert sign_in(back, password=NEW) == 401
    assert sign_in(back, password=PASSWORD) == 200


def test_a_removed_operator_stays_removed(stack: Stack, data: Path, entry: str) -> None:
    assert change(stack.signed_in_client(SUTRA_CONTROL_DATA=str(data))).status_code == 200
    other = f"bert:{PasswordHash.of(BERT).entry()}"
    without = stack.client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_USERS=other)
    assert sign_in(without, password=NEW) == 401
    assert sign_in(without, password=PASSWORD) == 401
    assert "anna" not in (data / "passwords.json").read_text()


def test_operators_do_not_change_each_others_passwords(stack: Stack, data: Path, entry: str) -> None:
    users = f"{entry},bert:{PasswordHash.of(BERT).entry()}"
    client = stack.signed_in_client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_USERS=users)
    assert change(client).status_code == 200
    assert sign_in(client, "bert", BERT) == 200
    assert change(client, BERT, "nine purple hats and gloves").status_code == 200
    restarted = stack.client(SUTRA_CONTROL_DATA=str(data), SUTRA_CONTROL_USERS=users)
    assert sign_in(restarted, "anna", NEW) == 200
    assert sign_in(restarted, "bert", "nine purple hats and gloves") == 200


def test_a_sign_in_during_a_change_is_checked_against_the_new_password(
    stack: Stack, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, written = threading.Event(), threading.Event()
    write = Passwords._write

    def slow(self: Passwords, stored: dict[str, str]) -> None:
        writing.set()
        written.wait()
        write(self, stored)

    monkeypatch.setattr(Passwords, "_write", slow)
    with stack.client(SUTRA_CONTROL_DATA=str(data)) as client, ThreadPoolExecutor(2) as people:
        assert sign_in(client) == 200
        changing = people.submit(change, client)
        writing.wait()
        other = TestClient(client.app, base_url="http://control:9000")
        entering = people.submit(sign_in, other)
        written.set()
        assert (changing.result().status_code, entering.result()) == (200, 401)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"schema": 2, "passwords": {}}',
        b'{"schema": 1}',
        b'{"schema": 1, "passwords": []}',
        b'{"schema": 1, "passwords": {"anna": {"entry": "scrypt$1"}}}',
        b'{"schema": 1, "passwords": {"anna": {"entry": "scrypt$secret", "replaces": "00"}}}',
        b'{"schema": 1, "passwords": {"anna": {"entry": 7, "replaces": 7}}}',
        b"[" * 100_000,
        b" " * (passwords.MAX_BYTES + 1),
    ],
)
def test_a_damaged_file_is_reported_instead_of_ignored(stack: Stack, data: Path, content: bytes) -> None:
    (data / "passwords.json").write_bytes(content)
    with pytest.raises(SettingError, match=r"SUTRA_CONTROL_DATA: invalid file: .*passwords\.json.*delete it") as caught:
        stack.client(SUTRA_CONTROL_DATA=str(data))
    assert "secret" not in str(caught.value)


def test_a_folder_that_is_missing_or_unreadable_is_reported(stack: Stack, data: Path) -> None:
    with pytest.raises(SettingError, match="SUTRA_CONTROL_DATA: not a folder"):
        stack.client(SUTRA_CONTROL_DATA=str(data / "none"))
    (data / "passwords.json").mkdir()
    with pytest.raises(SettingError, match="SUTRA_CONTROL_DATA: cannot read"):
        stack.client(SUTRA_CONTROL_DATA=str(data))


def test_obsolete_passwords_that_cannot_be_removed_are_still_ignored(
    data: Path, entry: str, reset_entry: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    variables = {"SUTRA_CONTROL_DATA": str(data)}
    users = Users.read(Environment({"SUTRA_CONTROL_USERS": entry}))
    assert Passwords.read(Environment(variables), users).change("anna", PASSWORD, NEW)

    def read_only(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(passwords.os, "open", read_only)
    reset = Users.read(Environment({"SUTRA_CONTROL_USERS": reset_entry}))
    Passwords.read(Environment(variables), reset)
    assert reset.verify("anna", "a password after a reset")
    assert not reset.verify("anna", NEW)
    assert "Read-only file system" in caplog.text
