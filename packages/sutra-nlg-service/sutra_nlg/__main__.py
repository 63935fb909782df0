"""Serve answers: `python -m sutra_nlg`."""

from typing import Any

from sutra_service.run import run


def load() -> Any:
    """The service's two functions, imported when `run` is ready for a signal."""
    from sutra_nlg import application  # noqa: PLC0415 - see run()

    return application.read_settings, application.create


if __name__ == "__main__":
    run(load)
