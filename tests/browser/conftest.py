"""A study to judge in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.place import Place, opened


@pytest.fixture(params=[2], ids=["two images"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with opened(tmp_path, images=request.param) as place:
        yield place
