"""Serve: `python -m sutra_embedding`."""

from typing import Any

from sutra_service.run import run


def load() -> Any:
    """Import the application; `run` calls this once it can handle signals."""
    from sutra_embedding import application  # noqa: PLC0415 - see run()

    return application.read_settings, application.create


if __name__ == "__main__":
    run(load)
