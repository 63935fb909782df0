import pytest

from sutra_service.settings import Environment, SettingError, Settings


def test_defaults() -> None:
    settings = Settings.read(Environment({}), "sutra-x", 8001)
    assert settings == Settings("sutra-x", "0.0.0", "simple", "0.0.0.0", 8001, "info")


def test_every_setting_is_read_from_the_environment() -> None:
    variables = {
        "SUTRA_SERVICE_VERSION": "1.2.3",
        "SUTRA_EDITION": "Enterprise",
        "HOST": "127.0.0.1",
        "PORT": "9",
        "LOG_LEVEL": "DEBUG",
    }
    settings = Settings.read(Environment(variables), "sutra-x", 8001)
    assert settings == Settings("sutra-x", "1.2.3", "enterprise", "127.0.0.1", 9, "debug")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "65536"), ("PORT", "-1"), ("PORT", "²"), ("SUTRA_EDITION", "pro"), ("LOG_LEVEL", "loud")],
)
def test_an_invalid_value_is_reported(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{name}='{value}'"):
        Settings.read(Environment({name: value}), "sutra-x", 1)


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.read(Environment({"PORT": " ", "SUTRA_EDITION": ""}), "sutra-x", 5).port == 5


@pytest.mark.parametrize(
    "value",
    [
        "storage:50051",
        "ftp://x",
        "http://",
        "http://:80",
        "http://host:abc",
        "http://host:99999",
        "http://[::1",
        "http://höst:1",
    ],
)
def test_an_invalid_url_is_rejected(value: str) -> None:
    with pytest.raises(SettingError, match="STORAGE_URL"):
        Environment({"STORAGE_URL": value}).url("STORAGE_URL", "http://x")


@pytest.mark.parametrize("value", ["http://storage", "http://[::1]:50051", "http://a.b:443/below"])
def test_valid_urls(value: str) -> None:
    assert Environment({"U": value}).url("U", "http://x") == value


def test_a_trailing_slash_is_removed_from_a_url() -> None:
    assert Environment({"U": "http://a.b/c/"}).url("U", "http://x") == "http://a.b/c"


@pytest.mark.parametrize("value", ["https://storage:50051", "HTTPS://storage"])
def test_an_https_url_is_rejected_with_the_reason(value: str) -> None:
    with pytest.raises(SettingError, match=r"STORAGE_URL=.*no TLS: use http://"):
        Environment({"STORAGE_URL": value}).url("STORAGE_URL", "http://x")
