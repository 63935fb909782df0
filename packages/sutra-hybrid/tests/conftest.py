from collections.abc import Iterator

import pytest
from backends import Backends, running


@pytest.fixture
def backends() -> Iterator[Backends]:
    with running() as backends:
        yield backends
