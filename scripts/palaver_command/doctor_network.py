"""What the network to a server is like: two clients of ours talk to each other there, in a room of their own."""

from __future__ import annotations

import resource
import secrets
from collections.abc import Iterator, Sequence
from statistics import mean, median
from typing import Final

import trio
from attrs import frozen

from palaver_client import Client, ClientError, Refusal, connect, words
from palaver_client.events import MediaConnected, MediaFailed, MediaLost, StatsChanged
from palaver_client.state import CallStats

from .findings import Finding, Tell

NAME: Final = "doctor"
PATIENCE: Final = 15.0  # s for sound to pass
SECONDS: Final = 6  # of figures; the first, in which all begins, does not count
FAR: Final = 200.0  # ms of round trip
UNEVEN: Final = 30.0  # ms of jitter
LOSSY: Final = 0.03  # share
HEAVY: Final = 0.25  # of a core for one engine
UDP: Final = "let UDP through to the media port that the server announces (its --media-port, --announce)"
WIRE: Final = "a cable, or being nearer to the wireless access point, would help"


@frozen
class Heard:
    """A second's figures, as the listening client has them."""

    round_trip: float | None  # ms
    jitter: float  # ms
    loss: float


async def look_at_network(url: str, tell: Tell) -> None:
    """Whether a server can be reached, whether sound passes, and how well."""
    began = trio.current_time()
    before = _cpu()
    try:
        async with connect(url, NAME) as speaker, connect(url, NAME) as listener:
            tell(Finding("Server", f"connected in {(trio.current_time() - began) * 1000:.0f} ms"))
            began = trio.current_time()
            seconds = await _talk(speaker, listener)
            elapsed = trio.current_time() - began
    except (ClientError, Refusal) as why:
        said = words.of_refusal(why) if isinstance(why, Refusal) else str(why)
        reason, _, remedy = said.partition("; ")
        tell(Finding("Server", reason, remedy or "check the address"))
        return
    if isinstance(seconds, str):
        tell(Finding("UDP", f"no sound passes: {seconds}", UDP))
        return
    for finding in _judge(seconds):
        tell(finding)
    tell(_judge_cpu((_cpu() - before) / 2 / elapsed))


async def _talk(speaker: Client, listener: Client) -> list[Heard] | str:
    """Have one hear the other: the figures of each second, or why nothing was heard."""
    room = f"{NAME} {secrets.token_hex(4)}"
    found: list[Heard] = []
    async with (
        listener.changes() as changes,
        speaker.call(room, source="tone:440", sink="null"),
        listener.call(room, source="null", sink="null", is_muted=True),
    ):
        reason = "nothing arrives"
        with trio.move_on_after(PATIENCE + SECONDS):
            async for change in changes:
                match change.event:
                    case MediaLost(reason=reason) | MediaFailed(reason=reason):
                        return reason
                    case StatsChanged(stats=stats) if (heard := _heard(stats)) is not None:
                        found.append(heard)
                        if len(found) > SECONDS:
                            return found[1:]
                    case MediaConnected():
                        reason = "the way is open, and no packet comes"
                    case _:
                        continue
        return reason


def _heard(stats: CallStats) -> Heard | None:
    """None while nobody is heard."""
    voices = [each for each in stats.users.values() if each.in_kbps]
    if not voices:
        return None
    return Heard(stats.rtt_ms, max(each.jitter_ms for each in voices), max(each.loss for each in voices))


def _judge(seconds: Sequence[Heard]) -> Iterator[Finding]:
    trips = [each.round_trip for each in seconds if each.round_trip is not None]
    if trips:
        trip = median(trips)
        remedy = "" if trip <= FAR else "the server is far: one nearer to all who talk would be heard sooner"
        yield Finding("Round trip", f"{trip:.1f} ms over UDP", remedy)
    jitter, loss = median(each.jitter for each in seconds), mean(each.loss for each in seconds)
    yield Finding("Jitter", f"{jitter:.1f} ms", WIRE if jitter > UNEVEN else "")
    yield Finding("Loss", f"{loss:.1%} of {len(seconds) * 50} packets there and back", WIRE if loss > LOSSY else "")


def _judge_cpu(share: float) -> Finding:
    remedy = "" if share <= HEAVY else "switch processing off, or end other programs: sound may falter"
    return Finding("CPU", f"{share:.0%} of a core for a sound engine in a call", remedy)


def _cpu() -> float:
    """CPU time (s) of the sound engines that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
