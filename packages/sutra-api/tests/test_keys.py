import re
from pathlib import Path

import pytest
from sutra_service.settings import Environment, SettingError

from sutra_api import keys
from sutra_api.keys import Keys

ANNA = f"anna:{keys.digest('key of anna').hex()}"
BERT = f"bert:{keys.digest('key of bert').hex()}"


def test_a_new_key_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main(["new", "anna"]) == 0
    printed = capsys.readouterr().out
    key = re.search(r"sutra_\S+", printed)
    entry = re.search(r"anna:[0-9a-f]{64}", printed)
    assert key
    assert entry
    known = Keys.read(Environment({"SUTRA_API_KEYS": entry[0]}))
    assert known.owner(key[0]) == "anna"
    assert known.owner(key[0] + "x") is None


def test_two_new_keys_differ(capsys: pytest.CaptureFixture[str]) -> None:
    keys.main(["new", "anna"])
    first = capsys.readouterr().out
    keys.main(["new", "anna"])
    assert capsys.readouterr().out != first


@pytest.mark.parametrize("arguments", [[], ["new"], ["new", "a:b"], ["old", "anna"], ["new", ""]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_file_and_variable_together(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the team\n{ANNA}  # first\n\n")
    known = Keys.read(Environment({"SUTRA_API_KEYS_FILE": str(file), "SUTRA_API_KEYS": f" {BERT}, "}))
    assert (known.owner("key of anna"), known.owner("key of bert"), known.owner("")) == ("anna", "bert", None)


def test_no_keys() -> None:
    assert not Keys.read(Environment({}))


def test_an_invalid_entry_is_reported_by_line_only() -> None:
    with pytest.raises(SettingError, match="SUTRA_API_KEYS, line 2") as caught:
        Keys.read(Environment({"SUTRA_API_KEYS": f"{ANNA}\nsutra_plain_key"}))
    assert "plain" not in str(caught.value)


def test_a_duplicate_name_is_rejected() -> None:
    with pytest.raises(SettingError, match="duplicate name: anna"):
        Keys.read(Environment({"SUTRA_API_KEYS": f"{ANNA},{ANNA}"}))


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="SUTRA_API_KEYS_FILE"):
        Keys.read(Environment({"SUTRA_API_KEYS_FILE": str(tmp_path / "none")}))
