"""What holds for every test: answers that are kept go to a folder of the run's own, not to the user's cache."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGSIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
