"""A process that keeps marks as it is told by lines on stdin: what the tests kill, starve, freeze and compete with.

It says `kept N` once it has loaded, or `refused WHY`.
"""

from __future__ import annotations

import resource
import sys
import time

import trio

from palaver_server.store import Store, StoreError
from palaver_server.stores import open_store


async def obey(store: Store, line: str) -> None:
    """One line of stdin."""
    match line.split():
        case ["mark", key, value]:
            store.mark(key, value.encode)
        case ["big", key, size]:
            store.mark(key, lambda: b"x" * int(size))
        case ["wait"]:  # until everything is kept
            while store.waiting:  # noqa: ASYNC110
                await trio.sleep(0.005)
            print("all is kept", flush=True)
        case ["limit", size]:  # bytes that a file may have
            limit = int(size) if size != "none" else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            print("limited", flush=True)
        case ["count"]:  # a mark each ms, each told once it is made, until killed
            number = 0
            while True:
                number += 1
                store.mark(f"n:{number:06d}", lambda: b"1")
                store.mark("last", lambda number=number: b"%d" % number)
                print(number, time.monotonic(), flush=True)
                await trio.sleep(0.001)
        case _:
            raise SystemExit(f"what is {line!r}?")


async def main(spec: str) -> None:
    """Keep until stdin ends."""
    store = open_store(spec)
    async with trio.open_nursery() as nursery:
        kept = await nursery.start(store.run)
        print(f"kept {len(kept)}", flush=True)
        held = b""
        async for data in trio.lowlevel.FdStream(0):
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                await obey(store, line.decode())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    try:
        trio.run(main, sys.argv[1])
    except* StoreError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        print(f"refused {error}", flush=True)
