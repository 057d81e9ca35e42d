"""Line mode at work: calls, one or several, and what is printed of them."""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Final, TypeAlias

import trio
from attrs import define, field

from palaver_media.sound_settings import RecordingForm
from palaver_protocol.models import EndReason, RoomView
from palaver_protocol.notices import Snapshot
from palaver_protocol.table import Refusal

from . import remembering, running, sound_options, words
from .arguments import FAILED
from .changes import AnyEvent, Change, Changes
from .client import Client, connect
from .errors import ConnectFailed, Disconnected
from .events import CarrierChanged, Connected
from .json_lines import JsonLines
from .listings import Listing
from .orders import Orders
from .plain_lines import PlainLines
from .recording import announced, insisted
from .scopes import helpers
from .settings import Settings
from .standard import STDIN, STDOUT, Output, OutputClosed
from .state import ClientState

Lines: TypeAlias = PlainLines | JsonLines

GOODBYE: Final = 1.0  # s to print the last lines
REMINDER: Final = 10.0  # s after which it is said again that it rings


def run(name: str, options: argparse.Namespace, settings: Settings) -> int:
    """Talk as the program of that name; the exit code."""
    return running.run(name, partial(talk, options, settings))


async def talk(options: argparse.Namespace, settings: Settings) -> int:
    """All calls, from connecting to the end; the exit code."""
    is_terminal = os.isatty(STDIN)
    plain = PlainLines(settings.user_id, is_terminal, is_terminal and os.isatty(STDOUT))
    printer = Printer(JsonLines() if options.json else plain)
    try:
        return await _talk(options, settings, printer)
    except ConnectFailed:
        await printer.print(printer.lines.of_failure())
        raise


async def _talk(options: argparse.Namespace, settings: Settings, printer: Printer) -> int:
    """All calls over a connection. Raises ConnectFailed, Refusal or Disconnected."""
    async with (
        connect(
            options.url,
            settings.name,
            settings.user_id,
            takes_waiting_calls=True,
            is_to_talk=True,
            sound=sound_options.chosen(settings.sound, options),
            source=options.input or settings.source,
            sink=options.output or settings.sink,
        ) as client,
        client.changes() as changes,
        helpers() as nursery,
    ):
        await printer.greet(client.state)
        nursery.start_soon(printer.follow, changes)
        reason = None
        try:  # from here on, for whoever follows the changes is shielded from a signal until they end
            nursery.start_soon(remind, client, printer)
            await nursery.start(remembering.keep, client, settings, printer.error)
            talking = Talking(client, printer, nursery, options.seconds, options.record)
            with printer.over:
                if options.room is None:
                    await talking.whenever_called()
                else:
                    reason = await talking.in_room(options.room)
        finally:
            changes.close()
            await printer.end(reason)
    return FAILED if reason is EndReason.ERROR else 0


@define
class Talking:
    """Where and how we talk, for `seconds` at most."""

    client: Client
    printer: Printer
    nursery: trio.Nursery
    seconds: float
    form: RecordingForm | None = None

    async def in_room(self, room: str) -> EndReason:
        """Talk in a room until it, or the call for which it was left, is over. Raises Refusal or Disconnected."""
        async with (
            self.client.call(room, source=None, sink=None) as call,
            announced(self.client, self.client.state.sound.sink.spec),
        ):
            self._record()
            self._begin()
            self.printer.talking_since = trio.current_time()
            return await call.wait_ended()

    async def whenever_called(self) -> None:
        """Talk wherever a call or an invitation leads, and wait for the next. Raises Disconnected."""
        self._begin()
        await self.printer.print(self.printer.lines.of_waiting())
        while True:
            await wait_seated(self.client)
            began = self.printer.talking_since = trio.current_time()
            try:
                async with (
                    self.client.talk(source=None, sink=None) as call,
                    announced(self.client, self.client.state.sound.sink.spec),
                ):
                    self._record()
                    reason = await call.wait_ended()
            except Refusal:  # the seat is gone already
                reason = EndReason.ENDED
            self.printer.talking_since = None
            await self.printer.hang_up(reason, trio.current_time() - began)

    def _record(self) -> None:
        """Record each call, where the command line says so."""
        if self.form is not None:
            self.nursery.start_soon(self._start_recording, self.form)

    async def _start_recording(self, form: RecordingForm) -> None:
        """Record as soon as the server lets us; if it never does, the call goes on, and is not recorded."""
        try:
            await insisted(partial(self.client.start_recording, form))
        except Refusal as no:
            await self.printer.error(f"you do not record: {words.of_refusal(no)}", no)

    def _begin(self) -> None:
        """Take what is typed, and let the time run."""
        now = self.printer.began = trio.current_time()
        self.printer.over.deadline = now + self.seconds
        self.nursery.start_soon(Orders(self.client, self.printer).run)


async def wait_seated(client: Client) -> None:
    """Wait until we sit in a room. Raises Disconnected when that cannot be any more."""
    async with client.changes() as changes:
        while client.state.room is None:
            try:
                await anext(changes)
            except StopAsyncIteration:
                raise Disconnected(await client.wait_closed()) from None


async def remind(client: Client, printer: Printer) -> None:
    """Say again and again that it rings."""
    async with client.changes() as changes:
        async for _ in changes:
            while client.state.incoming:
                await trio.sleep(REMINDER)
                await printer.remind(client.state)


@define
class Printer:
    """Prints what happens; `over` is cancelled when there is nobody to print for, or nothing more to do."""

    lines: Lines
    over: trio.CancelScope = field(factory=trio.CancelScope)
    began: float | None = None  # on Trio's clock, in s
    talking_since: float | None = None  # likewise
    room: RoomView | None = None  # in which we talk, or last did
    _followed: Changes | None = None
    _printing: trio.CancelScope = field(factory=lambda: trio.CancelScope(shield=True))
    _output: Output = field(factory=Output)
    _done: trio.Event = field(factory=trio.Event)

    async def greet(self, state: ClientState) -> None:
        """Print how we came here."""
        polling = [CarrierChanged(is_polling=True, reason=state.polling_because)] if state.is_polling else []
        begun: list[AnyEvent] = [Connected(), *polling, *state.notices]
        for event in begun:
            await self.print(self.lines.of_change(Change(ClientState(state.me, state.name), state, event)))
        await self.print(self.lines.of_sound(state.choices))

    async def follow(self, changes: Changes) -> None:
        """Print all changes until they end, also those of the end that a signal makes."""
        self._followed = changes
        try:
            with self._printing:
                async for change in changes:
                    self.room = change.new.room or self.room
                    await self.print(self.lines.of_change(change))
                    if isinstance(change.event, Snapshot):
                        await self.remind(change.new)
        finally:
            self._done.set()

    async def remind(self, state: ClientState) -> None:
        """Say what still rings."""
        for ring in state.incoming:
            await self.print(self.lines.of_ringing(words.of_ring(ring, trio.current_time())))

    async def print(self, line: str | None) -> None:
        """Print a line, if there is one."""
        try:
            if line is not None:
                await self._output.line(line)
        except OutputClosed:
            self.over.cancel()

    async def error(self, message: str, no: Refusal | None = None) -> None:
        """Something that was typed could not be done."""
        await self.print(self.lines.of_error(message, no))

    async def help(self, message: str) -> None:
        """Something that was asked for."""
        await self.print(self.lines.of_help(message))

    async def listing(self, listing: Listing) -> None:
        """Who or what there is."""
        await self.print(self.lines.of_listing(listing))

    def quit(self) -> None:
        """Nothing more is wanted."""
        self.over.cancel()

    async def end(self, reason: EndReason | None) -> None:
        """Print what is left and the last line, also when a signal has ended us."""
        with trio.move_on_after(GOODBYE, shield=True):
            await self._done.wait()
            if self.began is not None:
                was_talking = self.talking_since is not None
                seconds = trio.current_time() - (self.talking_since or self.began)
                await self.print(self.lines.of_end(reason, seconds, self.room, was_talking=was_talking))
            else:
                await self.print(self.lines.of_failure())
        self._printing.cancel()

    async def hang_up(self, reason: EndReason, seconds: float) -> None:
        """Say that one of several calls is over, after all that happened in it."""
        if self._followed is not None:
            await self._followed.wait_read()
        await self.print(self.lines.of_hanging_up(reason, seconds, self.room))
