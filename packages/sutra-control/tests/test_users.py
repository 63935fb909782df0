import re
from pathlib import Path

import pytest
from conftest import PASSWORD
from sutra_service.settings import Environment, SettingError

from sutra_control import users
from sutra_control.users import PasswordHash, Users

SALT = "c2FsdHNhbHRzYWx0c2FsdA"
DIGEST = "A" * 43


def read(entries: str) -> Users:
    return Users.read(Environment({"SUTRA_CONTROL_USERS": entries}))


def test_a_new_password_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert users.main(["new", "anna"]) == 0
    printed = capsys.readouterr()
    password = re.search(r"only once\): (\S+)", printed.out)
    entry = re.search(r"anna:scrypt\S+", printed.out)
    assert password
    assert entry
    assert "single quotes" in printed.err
    assert password[1] not in entry[0]
    known = read(entry[0])
    assert known.verify("anna", password[1])
    assert not known.verify("anna", password[1] + "x")
    assert not known.verify("bert", password[1])


def test_the_hash_matches_the_rfc() -> None:
    # RFC 7914, third test vector, truncated to 32 bytes.
    salt = b"SodiumChloride"
    digest = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    known = PasswordHash(16384, 8, 1, salt, digest)
    assert known.verify("pleaseletmein")
    assert not known.verify("pleaseletmeim")


def test_an_unknown_name_takes_the_same_time(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read(entry)
    tried: list[int] = []
    monkeypatch.setattr(users, "_scrypt", lambda _p, cost, *_: tried.append(cost) or bytes(32))
    assert not known.verify("nobody", "x")
    assert not known.verify("anna", "x")
    assert tried == [2**14, 2**14]


def test_every_name_takes_the_same_time_with_different_parameters(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read(f"{entry},bert:scrypt$32768$8$1${SALT}${DIGEST},cora:scrypt$16384$8$2${SALT}${DIGEST}")
    tried: list[tuple[int, ...]] = []
    monkeypatch.setattr(users, "_scrypt", lambda _p, *work: tried.append(work[:3]) or b"\x01" * 32)
    for name in ("anna", "bert", "cora", "nobody"):
        tried.clear()
        assert not known.verify(name, "x")
        assert sorted(tried) == [(2**14, 8, 1), (2**14, 8, 2), (2**15, 8, 1)]


def test_only_the_operators_own_password_is_valid(entry: str) -> None:
    salt = b"s" * 16
    strong = PasswordHash(2**15, 8, 1, salt, users._scrypt("password of bert", 2**15, 8, 1, salt))
    known = read(f"{entry},bert:{strong.entry()}")
    assert known.verify("bert", "password of bert")
    assert known.verify("anna", PASSWORD)
    assert not known.verify("anna", "password of bert")
    assert not known.verify("bert", PASSWORD)
    assert not known.verify("nobody", PASSWORD)


def test_a_password_that_is_not_utf_8_is_wrong(entry: str) -> None:
    assert not read(entry).verify("anna", "\ud800")


@pytest.mark.parametrize("arguments", [[], ["new"], ["new", "a:b"], ["new", "a,b"], ["old", "anna"], ["new", ""]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert users.main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_file_and_variable_together(tmp_path: Path, entry: str) -> None:
    file = tmp_path / "users"
    file.write_text(f"# the team\n{entry}  # first\n\n")
    other = entry.replace("anna", "bert")
    variables = {"SUTRA_CONTROL_USERS_FILE": str(file), "SUTRA_CONTROL_USERS": f" {other}, "}
    assert list(Users.read(Environment(variables))._hashes) == ["anna", "bert"]


def test_no_operators() -> None:
    empty = Users.read(Environment({}))
    assert not empty
    assert not empty.verify("anna", "x")


@pytest.mark.parametrize(
    "parameters",
    ["1024$8$1", "16383$8$1", "131072$8$1", "65536$9$1", "16384$4$1", "16384$8$0", "16384$8$5", "131072$16$1", "0$8$1"],
)
def test_parameters_that_are_too_weak_or_too_costly_are_rejected(parameters: str) -> None:
    with pytest.raises(SettingError, match="unsupported parameters"):
        read(f"anna:scrypt${parameters}${SALT}${DIGEST}")


@pytest.mark.parametrize("parameters", [f"{users.MAX_COST}$8$4", "16384$32$1"])
def test_stronger_parameters_are_accepted(parameters: str) -> None:
    assert not read(f"anna:scrypt${parameters}${SALT}${DIGEST}").verify("anna", "x")


def test_the_error_lists_the_allowed_parameters() -> None:
    with pytest.raises(SettingError, match=f"from {users.MIN_COST} to {users.MAX_COST}, R at least {users.BLOCK}"):
        read(f"anna:scrypt$1024$8$1${SALT}${DIGEST}")
    assert 128 * users.MAX_COST * users.BLOCK == users.MAX_MEMORY


@pytest.mark.parametrize("wrong", ["plain", "bert:plain", "bert:scrypt$16384$8$1$short$short", f"bert:{'0' * 64}"])
def test_an_invalid_entry_is_reported_by_line_only(entry: str, wrong: str) -> None:
    with pytest.raises(SettingError, match="SUTRA_CONTROL_USERS, line 2") as caught:
        read(f"{entry}\n{wrong}")
    assert wrong not in str(caught.value)


def test_a_duplicate_name_is_rejected(entry: str) -> None:
    with pytest.raises(SettingError, match="duplicate name: anna"):
        read(f"{entry},{entry}")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="SUTRA_CONTROL_USERS_FILE"):
        Users.read(Environment({"SUTRA_CONTROL_USERS_FILE": str(tmp_path / "none")}))
