"""A call over a network that loses much: what the sender does about it, and what the listener is spared."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any, Final

import pytest

from benches.sound_rig.products import FAR, OURS, free_ports
from impairment import Conditions, steadily
from impairment_relay import Route, relaying
from running import Program, running, serving

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.trio, pytest.mark.timeout(120)]
LOSS: Final = 0.32
WITHOUT_COPIES: Final = LOSS**2  # in-band FEC mends a packet when the next one comes
WATCHED: Final = 14  # s


def caller(url: str, name: str) -> tuple[str, ...]:
    return ("call", url, "--room", "lobby", "--name", name, "--input", "tone:440", "--output", "null", "--json")


async def wait_stats(program: Program, is_it: Callable[[dict[str, Any]], bool], after: int = 0) -> int:
    """The number of the first line, from `after` on, with a second's figures that are the ones."""

    def holds(line: str) -> bool:
        said = json_of(line)
        return said["event"] == "stats" and is_it(said)

    return program.lines.index(await program.wait_line(holds, after=after, patience=40), after)


def json_of(line: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(line)
    return said


async def test_copies_mend_what_fec_alone_does_not() -> None:
    media = free_ports(2)  # the worker's, and that of its spare
    routes = [Route((FAR, port), (OURS, port)) for port in (media, media + 1)]
    with relaying(*routes) as relay:
        async with serving("--media-port", str(media), "--announce", FAR) as (url, _):
            relay.name("alice")
            async with running(*caller(url, "alice")) as alice:
                await alice.wait_event("media", state="connected")
                relay.name("bob")
                async with running(*caller(url, "bob")) as bob:
                    await bob.wait_event("mediaStarted", name="alice")
                    relay.begin(alice_there=steadily(Conditions(loss=LOSS)))
                    await wait_stats(alice, lambda said: (said["encoding"] or {}).get("copies") == 2)
                    begun = await wait_stats(bob, lambda said: bool(said["users"]), after=len(bob.lines))
                    seconds: list[dict[str, Any]] = []
                    for _ in range(WATCHED):
                        begun = await wait_stats(bob, lambda said: bool(said["users"]), after=begun + 1)
                        (voice,) = json_of(bob.lines[begun])["users"]
                        seconds.append(voice)
                    assert await bob.end() == 0
                assert await alice.end() == 0
    assert statistics.mean(second["loss"] for second in seconds) > LOSS / 2, seconds
    assert statistics.mean(second["concealed"] for second in seconds) < WITHOUT_COPIES / 2, seconds
