"""The places that every test of what all stores do is told with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from palaver_server.store import Store
from palaver_server.stores import open_store
from store.places import RedisServer, redis_server

PREFIXES = itertools.count()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests that leave it whole."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def spec(request: pytest.FixtureRequest, tmp_path) -> str:
    """A place that outlives a process, and has nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/state/palaver.db"
    return request.getfixturevalue("redis").spec(f"test{next(PREFIXES)}")


@pytest.fixture(params=["sqlite", "redis", "memory"])
def open_again(request: pytest.FixtureRequest, tmp_path) -> Callable[[], Store]:
    """Makes the store of the next server at the same place. In memory that is the same one."""
    match request.param:
        case "sqlite":
            return lambda: open_store(f"sqlite:{tmp_path}/state/palaver.db")
        case "redis":
            spec = request.getfixturevalue("redis").spec(f"test{next(PREFIXES)}")
            return lambda: open_store(spec)
        case _:
            store = open_store("memory:")
            return lambda: store
