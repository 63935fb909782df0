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


def test_a_made_password_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert users.main(["new", "anna"]) == 0
    printed = capsys.readouterr()
    password = re.search(r"anna\): (\S+)", printed.out)
    entry = re.search(r"anna:scrypt\S+", printed.out)
    assert password
    assert entry
    assert "single quotes" in printed.err
    assert password[1] not in entry[0]
    known = read(entry[0])
    assert known.fits("anna", password[1])
    assert not known.fits("anna", password[1] + "x")
    assert not known.fits("bert", password[1])


def test_the_hash_is_scrypt_as_others_compute_it() -> None:
    # RFC 7914, the third test vector, cut to the 32 bytes that are kept.
    salt = b"SodiumChloride"
    digest = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    known = PasswordHash(16384, 8, 1, salt, digest)
    assert known.fits("pleaseletmein")
    assert not known.fits("pleaseletmeim")


def test_a_name_that_nobody_has_takes_as_long(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read(entry)
    tried: list[int] = []
    monkeypatch.setattr(users, "_scrypt", lambda _p, cost, *_: tried.append(cost) or bytes(32))
    assert not known.fits("nobody", "x")
    assert not known.fits("anna", "x")
    assert tried == [2**14, 2**14]


def test_every_name_takes_as_long_where_entries_differ(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read(f"{entry},bert:scrypt$32768$8$1${SALT}${DIGEST},cora:scrypt$16384$8$2${SALT}${DIGEST}")
    tried: list[tuple[int, ...]] = []
    monkeypatch.setattr(users, "_scrypt", lambda _p, *work: tried.append(work[:3]) or b"\x01" * 32)
    for name in ("anna", "bert", "cora", "nobody"):
        tried.clear()
        assert not known.fits(name, "x")
        assert sorted(tried) == [(2**14, 8, 1), (2**14, 8, 2), (2**15, 8, 1)]


def test_only_the_own_password_fits_where_entries_differ(entry: str) -> None:
    salt = b"s" * 16
    strong = PasswordHash(2**15, 8, 1, salt, users._scrypt("password of bert", 2**15, 8, 1, salt))
    known = read(f"{entry},bert:{strong.entry()}")
    assert known.fits("bert", "password of bert")
    assert known.fits("anna", PASSWORD)
    assert not known.fits("anna", "password of bert")
    assert not known.fits("bert", PASSWORD)
    assert not known.fits("nobody", PASSWORD)


def test_a_password_that_utf8_cannot_hold_is_just_wrong(entry: str) -> None:
    assert not read(entry).fits("anna", "\ud800")


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
    nobody = Users.read(Environment({}))
    assert not nobody
    assert not nobody.fits("anna", "x")


@pytest.mark.parametrize(
    "parameters",
    ["1024$8$1", "16383$8$1", "131072$8$1", "65536$9$1", "16384$4$1", "16384$8$0", "16384$8$5", "131072$16$1", "0$8$1"],
)
def test_parameters_that_are_too_weak_or_too_costly(parameters: str) -> None:
    with pytest.raises(SettingError, match="parameters that are not taken"):
        read(f"anna:scrypt${parameters}${SALT}${DIGEST}")


@pytest.mark.parametrize("parameters", [f"{users.MOST_COST}$8$4", "16384$32$1"])
def test_stronger_parameters_are_taken_and_can_be_computed(parameters: str) -> None:
    assert not read(f"anna:scrypt${parameters}${SALT}${DIGEST}").fits("anna", "x")


def test_the_error_offers_what_can_be_used() -> None:
    with pytest.raises(SettingError, match=f"from {users.LEAST_COST} to {users.MOST_COST}, R at least {users.BLOCK}"):
        read(f"anna:scrypt$1024$8$1${SALT}${DIGEST}")
    assert 128 * users.MOST_COST * users.BLOCK == users.MOST_MEMORY


@pytest.mark.parametrize("wrong", ["plain", "bert:plain", "bert:scrypt$16384$8$1$short$short", f"bert:{'0' * 64}"])
def test_a_fault_names_its_line_and_never_the_entry(entry: str, wrong: str) -> None:
    with pytest.raises(SettingError, match="SUTRA_CONTROL_USERS, line 2") as caught:
        read(f"{entry}\n{wrong}")
    assert wrong not in str(caught.value)


def test_a_name_stands_for_one_operator(entry: str) -> None:
    with pytest.raises(SettingError, match="anna is there twice"):
        read(f"{entry},{entry}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="SUTRA_CONTROL_USERS_FILE"):
        Users.read(Environment({"SUTRA_CONTROL_USERS_FILE": str(tmp_path / "none")}))
