"""The slash commands of line mode about devices."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Final

import trio

from palaver_media.engine_messages import Device, Side
from palaver_protocol.table import Code, refusal

from . import arguments, sound_words
from .client import Client

LEVELS: Final = 5  # lines of /levels, one each second


async def devices(rest: str, client: Client) -> str:
    """What there is to speak into and to hear with."""
    return sound_words.of_devices(await client.list_devices(), client.state)


async def microphone(rest: str, client: Client) -> str:
    """Speak into another device, and see whether it hears us."""
    spec = await _spec(rest, client, Side.SOURCE)
    client.use(Side.SOURCE, spec)
    if client.state.is_talking_possible:
        return "/levels shows how loud it hears you"
    return f"in your next call you speak into {sound_words.spec(spec)}; /levels shows how loud it hears you"


async def speaker(rest: str, client: Client) -> str | None:
    """Hear with another device."""
    spec = await _spec(rest, client, Side.SINK)
    client.use(Side.SINK, spec)
    return None if client.state.is_talking_possible else f"in your next call you hear with {sound_words.spec(spec)}"


async def _spec(wanted: str, client: Client, side: Side) -> str:
    """What is meant: the only device with that in its name, or another kind of source or sink. Raises Refusal."""
    kind = wanted.partition(":")[0]
    if wanted.casefold() in ("", "default"):
        return "device"
    if kind in arguments.KINDS:
        return _written(wanted, side)
    there = await client.list_devices()
    devices = there.inputs if side is Side.SOURCE else there.outputs
    if not devices and there.problem:
        raise refusal(Code.NOT_FOUND, f"no sound: {there.problem}")
    return f"device:{chosen(wanted, devices).name}"


def _written(spec: str, side: Side) -> str:
    """A spec as the command line takes it. Raises Refusal."""
    if side is Side.SINK and spec.startswith("file:"):  # all would have to be told
        raise refusal(Code.NOT_ALLOWED, "/record writes what you hear to files")
    try:
        return (arguments.source if side is Side.SOURCE else arguments.sink)(spec)
    except argparse.ArgumentTypeError as why:
        raise refusal(Code.INVALID_PAYLOAD, str(why)) from None


def chosen(wanted: str, there: tuple[Device, ...]) -> Device:
    """The only device of that name, or with that in its name. Raises Refusal, which names those that may be meant."""
    typed = wanted.casefold()
    exact = [each for each in there if each.name.casefold() == typed]
    meant = exact or [each for each in there if typed in each.name.casefold()]
    meant = [each for each in meant if each.library == meant[0].library]  # as the engine chooses
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(each.name for each in meant or there) or "none"
    if meant:
        raise refusal(Code.NOT_FOUND, f"{wanted[:40]} may be {names}; type more of it")
    raise refusal(Code.NOT_FOUND, f"no device has {wanted[:40]} in its name; there are: {names}")


async def levels(rest: str, client: Client) -> AbstractAsyncContextManager[AsyncIterator[str]]:
    """How loud our microphone hears us: a line each second, for some seconds; without a call it is opened for them."""
    return _levels(client)


@asynccontextmanager
async def _levels(client: Client) -> AsyncIterator[AsyncIterator[str]]:
    async with client.auditioning(), aclosing(_each_second(client)) as lines:
        yield lines


async def _each_second(client: Client) -> AsyncGenerator[str, None]:
    for _ in range(LEVELS):
        await trio.sleep(1)
        yield sound_words.meter(client.state.sound.input_dbfs)
