"""From `--state` to a store."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .store import Store
from .store_memory import MemoryStore
from .store_sqlite import SqliteStore

REMEDY: Final = "expected sqlite:PATH, redis://HOST:PORT/DB (with ?prefix=NAME for several servers) or memory:"


def open_store(spec: str) -> Store:
    """The store that a spec names; nothing is opened before its `run`.

    Raises:
        ValueError: the spec is wrong; the message says what would be right.
    """
    kind, _, rest = spec.partition(":")
    if kind == "sqlite" and rest and "\0" not in rest:
        return SqliteStore(Path(rest).expanduser().resolve())
    if kind == "memory" and not rest:
        return MemoryStore()
    if kind == "redis":
        return make_redis_store(urlsplit(spec))
    raise ValueError(REMEDY)


def make_redis_store(url: SplitResult) -> Store:
    """The store at a Redis URL.

    Raises:
        ValueError: the URL is wrong.
    """
    from .store_redis import RedisStore  # here, for coredis takes 0.2 s to import, which only its users should pay

    db = url.path.removeprefix("/") or "0"
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    prefix = options.pop("prefix", "palaver")
    if not url.hostname or not db.isdecimal() or options or url.fragment or not (prefix and prefix.isprintable()):
        raise ValueError(REMEDY)
    return RedisStore(
        url.hostname,
        url.port or 6379,
        int(db),
        prefix,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
    )
