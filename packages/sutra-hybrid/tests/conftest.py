from collections.abc import Iterator

import pytest
import world as worlds


@pytest.fixture
def world() -> Iterator[worlds.World]:
    with worlds.running() as world:
        yield world
