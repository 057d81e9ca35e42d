"""From `--state` to a store."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .store import Store
from .store_memory import MemoryStore
from .store_sqlite import SqliteStore


def open_store(spec: str) -> Store:
    """The store that a spec names; nothing is opened before its `run`.

    Raises:
        ValueError: the spec is wrong; the message says what would be right.
    """
    kind, _, rest = spec.partition(":")
    if kind == "sqlite" and rest and "\0" not in rest:
        return SqliteStore(Path(os.path.realpath(os.path.expanduser(rest))))
    if spec == "memory:":
        return MemoryStore()
    try:
        return make_redis_store(urlsplit(spec))
    except ValueError:
        raise ValueError("expected sqlite:PATH, redis://HOST:PORT/DB (and ?prefix=NAME), or memory:") from None


def make_redis_store(url: SplitResult) -> Store:
    """The store at a Redis URL.

    Raises:
        ValueError: the URL is wrong.
    """
    db = url.path.removeprefix("/") or "0"
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    prefix = options.pop("prefix", "palaver")
    is_clear = prefix and prefix.isprintable() and db.isdecimal() and not options and not url.fragment
    if url.scheme != "redis" or not url.hostname or not is_clear:
        raise ValueError
    from .store_redis import RedisStore  # here, for coredis takes 0.2 s to import, which only its users should pay

    return RedisStore(
        url.hostname,
        url.port or 6379,
        int(db),
        prefix,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
    )
