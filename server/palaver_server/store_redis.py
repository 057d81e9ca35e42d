"""The state in Redis: one hash, a lease that expires, and a script that commits only for the lease's holder."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar, cast

import trio
from attrs import define, field
from coredis import PureToken, Redis
from coredis.exceptions import RedisError
from coredis.retry import NoRetryPolicy

from .store import Forgotten, Group, Store, StoreError, Unavailable, name_holder, read_holder

logging.getLogger("coredis").setLevel(logging.CRITICAL)  # it logs each attempt that fails; the store says it once

T = TypeVar("T")

FORMAT: Final = b"1"
LEASE_MS: Final = 2000  # that a lease outlives its holder, and so a successor waits at most
RENEW: Final = 0.5  # s between two renewals of an idle holder
OPEN: Final = 10.0  # s to take the lease and load
ELSEWHERE: Final = "--state redis://HOST:PORT/DB?prefix=NAME takes another place, --state sqlite:PATH a file"

# Keys begin with a letter, so these two fields of the hash are ours. They share its fate, whatever Redis does with it.
STAMP: Final = b".stamp"
FORMAT_FIELD: Final = b".format"

# KEYS: lease, state. ARGV: holder, lease in ms, the stamp of the last group, this one's, "anew" or "", how many values,
# then keys and values, then the keys to delete. Stamps only grow, so they tell a late group of a connection given up, a
# Redis that has lost groups, and a successor's writing. A group that comes twice, its answer lost, does no harm.
COMMIT: Final = """
local holder, stamp = redis.call('GET', KEYS[1]), redis.call('HGET', KEYS[2], '.stamp') or ''
if (holder and holder ~= ARGV[1]) or stamp > ARGV[4] then return {'lost', holder or ''} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if stamp < ARGV[3] then return {'forgotten', stamp} end
if ARGV[5] == 'anew' then redis.call('DEL', KEYS[2]) end
local deletions = 7 + 2 * ARGV[6]
for i = 7, deletions - 1, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
for i = deletions, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
redis.call('HSET', KEYS[2], '.format', '1', '.stamp', ARGV[4])
return {'done', ARGV[4]}
"""
RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@define(eq=False)
class RedisStore(Store):
    """A place in Redis: its two keys there begin with `prefix`."""

    host: str
    port: int
    db: int
    prefix: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    heartbeat: float = field(init=False, default=RENEW)
    _holder: str = field(init=False, default="")
    _epoch: int = field(init=False, default=0)  # us of Redis' clock when this server came, and more than any before
    _number: int = field(init=False, default=0)  # of the last group
    _stamp: bytes = field(init=False, default=b"")  # of the last group that is known to be in the store
    _is_anew: bool = field(init=False, default=False)  # the next group replaces everything
    _nursery: trio.Nursery | None = field(init=False, default=None)
    _client: Redis[bytes] | None = field(init=False, default=None)
    _connection: trio.CancelScope = field(init=False, factory=trio.CancelScope)

    async def open(self, nursery: trio.Nursery) -> Mapping[str, bytes]:
        """Take the lease, waiting for a dead holder's to expire, and read the hash."""
        self._nursery = nursery
        self._holder = f"{name_holder()} ({secrets.token_hex(8)})"
        self._is_anew = False
        try:
            with trio.fail_after(OPEN):
                await self._take_lease()
                return await self._load()
        except (Unavailable, trio.TooSlowError) as error:
            why = f"{self._place}: no answer" if isinstance(error, trio.TooSlowError) else error
            raise StoreError(f"cannot use the state in {why}; is Redis running there? {ELSEWHERE}") from None

    async def write(self, group: Group) -> None:
        """Run the script. A group that has come through already does nothing."""
        is_due = bool(group) or self._is_anew
        stamp = b"%020d.%012d" % (self._epoch, self._number + 1) if is_due else self._stamp
        values = [part for key, value in group.items() if value is not None for part in (key, value)]
        deleted = [key for key, value in group.items() if value is None]
        mode = "anew" if self._is_anew else ""
        head = (self._holder, LEASE_MS, self._stamp, stamp, mode, len(values) // 2)
        reply = await self._ask(lambda redis: redis.eval(COMMIT, self._keys, (*head, *values, *deleted)))
        outcome, detail = cast("list[bytes]", reply)
        if outcome == b"lost":
            who = read_holder(detail) if detail else "another server"
            raise StoreError(
                f"the state in {self._place} was taken over by {who}: this server ends, lest both write it"
            )
        if outcome == b"forgotten":
            self._stamp, self._is_anew = detail, True
            raise Forgotten
        if is_due:
            self._stamp, self._is_anew = stamp, False
            self._number += 1

    async def close(self) -> None:
        """Free the lease if it is ours, and hang up."""
        try:
            if self._client is not None:
                await self._ask(lambda redis: redis.eval(RELEASE, self._keys[:1], [self._holder]))
        except Unavailable:
            pass  # it expires
        finally:
            self._hang_up()

    @property
    def _place(self) -> str:
        return f"redis://{self.host}:{self.port}/{self.db}?prefix={self.prefix}"

    @property
    def _keys(self) -> tuple[str, str]:
        return f"{self.prefix}:lease", f"{self.prefix}:state"

    async def _take_lease(self) -> None:
        """Wait for a lease that nobody renews to expire; one whose end moves has a holder who is alive."""
        lease, _ = self._keys
        end = math.inf
        while not await self._ask(lambda redis: redis.set(lease, self._holder, condition=PureToken.NX, px=LEASE_MS)):
            left = max(await self._ask(lambda redis: redis.pttl(lease)), 0) / 1000
            if trio.current_time() + left > end + RENEW / 2:
                holder = await self._ask(lambda redis: redis.get(lease))
                raise StoreError(f"the state in {self._place} is in use by {read_holder(holder or b'')}; {ELSEWHERE}")
            end = min(end, trio.current_time() + left)
            await trio.sleep(min(left + 0.02, 2 * RENEW))

    async def _load(self) -> dict[str, bytes]:
        kept = await self._ask(lambda redis: redis.hgetall(self._keys[1]))
        if kept.pop(FORMAT_FIELD, FORMAT) != FORMAT:
            raise StoreError(f"the state in {self._place} has a format of a newer Palaver: run that one; {ELSEWHERE}")
        self._stamp = kept.pop(STAMP, b"")
        now = await self._ask(lambda redis: redis.time())
        last = int(self._stamp.partition(b".")[0] or 0)
        self._epoch, self._number = max(int(now.timestamp() * 1e6), last + 1), 0
        return {key.decode(): value for key, value in kept.items()}

    async def _ask(self, command: Callable[[Redis[bytes]], Awaitable[T]]) -> T:
        """Run a command over the connection, or a new one. It is given up with the first command that fails on it."""
        try:
            return await command(self._client or await self._connect())
        except (RedisError, OSError) as error:
            self._hang_up()
            raise Unavailable(f"{self._place}: {error}") from None
        except trio.Cancelled:
            self._hang_up()
            raise

    async def _connect(self) -> Redis[bytes]:
        assert self._nursery is not None
        client: Redis[bytes] = Redis(
            self.host,
            self.port,
            self.db,
            username=self.username,
            password=self.password,
            verify_version=False,
            retry_policy=NoRetryPolicy(),
        )
        await self._nursery.start(self._keep_up, client)
        self._client = client
        return client

    async def _keep_up(self, client: Redis[bytes], *, task_status: trio.TaskStatus[None]) -> None:
        """Be the task in which a client lives; shielded, for the last commit of a cancelled store needs it still."""
        with trio.CancelScope(shield=True) as self._connection:
            async with client:
                task_status.started()
                await trio.sleep_forever()

    def _hang_up(self) -> None:
        self._connection.cancel()
        self._client = None
