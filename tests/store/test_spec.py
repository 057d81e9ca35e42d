"""What `--state` may say, and what is meant when nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver_server.config import ConfigError, parse
from palaver_server.store_memory import MemoryStore
from palaver_server.store_redis import RedisStore
from palaver_server.store_sqlite import SqliteStore
from palaver_server.stores import open_store


def test_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    for spec, path in {
        "sqlite:/var/a b.db": "/var/a b.db",
        "sqlite:a.db": f"{tmp_path}/a.db",
        "sqlite:~/a.db": "/somewhere/a.db",
        "sqlite::memory:": f"{tmp_path}/:memory:",
    }.items():
        store = open_store(spec)
        assert isinstance(store, SqliteStore)
        assert store.path == Path(path)
    assert not list(tmp_path.iterdir())


def test_a_redis():
    store = open_store("redis://ann:p%40ss@[::1]:7000/5?prefix=office")
    assert isinstance(store, RedisStore)
    place = (store.host, store.port, store.db, store.prefix, store.username, store.password)
    assert place == ("::1", 7000, 5, "office", "ann", "p@ss")
    plain = open_store("redis://localhost")
    assert isinstance(plain, RedisStore)
    place = (plain.host, plain.port, plain.db, plain.prefix, plain.username, plain.password)
    assert place == ("localhost", 6379, 0, "palaver", None, None)


def test_memory():
    assert isinstance(open_store("memory:"), MemoryStore)


@pytest.mark.parametrize(
    "spec",
    [
        "", "sqlite", "sqlite:", "sqlite:a\0b", "memory", "memory:x", "/var/a.db", "postgres://x/y", "SQLITE:x",
        "redis:", "redis://", "redis:///0", "redis://x:port/0", "redis://x:99999/0", "redis://x/one", "redis://x/0/1",
        "redis://x/0#y", "redis://x/0?prefix=", "redis://x/0?prefix=%0a", "redis://x/0?db=1", "redis://[x/0", "rediss://x/0",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_what_would_be_right(spec):
    with pytest.raises(ValueError, match="expected sqlite:PATH, redis://HOST:PORT/DB "):
        open_store(spec)


def test_the_option_in_all_its_places(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('state = "sqlite:/file.db"\n')
    assert parse(["--config", str(file)], {}).state_or_default == "sqlite:/file.db"
    environment = {"PALAVER_STATE": "redis://variable", "PALAVER_CONFIG": str(file)}
    assert parse([], environment).state_or_default == "redis://variable"
    assert parse(["--state", "memory:"], environment).state_or_default == "memory:"
    with pytest.raises(ConfigError, match="command line: state = 'here': expected sqlite:PATH"):
        parse(["--state", "here"], environment)


def test_by_itself_each_port_has_a_file_and_a_passing_port_none(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert parse([], {}).state_or_default == "sqlite:/state/palaver/server-8440.db"
    assert parse(["--port", "9000"], {}).state_or_default == "sqlite:/state/palaver/server-9000.db"
    assert parse(["--port", "0"], {}).state_or_default == "memory:"
    assert parse(["--port", "0", "--state", "sqlite:/a.db"], {}).state_or_default == "sqlite:/a.db"
