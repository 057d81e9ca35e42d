"""The Trio side: takes wishes, and holds the connection which carries them out; `Seating` holds the seat."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import Final

import trio
from attrs import define, evolve, field
from textual.message import Message

from palaver_client import (
    Client,
    ClientState,
    ConnectFailed,
    ConnectionState,
    Joined,
    Refusal,
    RetryFailed,
    SideState,
    connect,
    words,
)
from palaver_client.after import after
from palaver_client.errors import LinkLost
from palaver_client.events import ConnectionLost
from palaver_client.sound_choices import SoundSettings
from palaver_media.sound_settings import RecordingForm
from palaver_protocol.models import CallId, Name
from palaver_protocol.notices import CallCancelled

from . import chat_labels, labels
from .asking import ask, attempt
from .auditions import Auditions
from .clock import on_clock_of_the_screen
from .happenings import told
from .kept_settings import KeptSettings
from .messages import Offline, StateChanged, Trouble
from .seating import Seating
from .seats import again
from .tuning import tuned
from .wishes import (
    Audition,
    Choose,
    Connect,
    Deafen,
    Edit,
    Hush,
    Join,
    Leave,
    Open,
    Prefer,
    Reject,
    Request,
    Retry,
    Say,
    Talk,
    TestEcho,
    Turn,
    TurnPerson,
    Wish,
)

FIRST_PAUSE: Final = 0.5  # s between the first two attempts to connect; doubled each time
LONGEST_PAUSE: Final = 15.0  # s
MAX_SAID: Final = 100  # messages that may wait to be sent


@define(eq=False)
class Caller:
    """Takes wishes with `take`, on the Trio side only, and gives news with `tell`."""

    url: str
    settings: KeptSettings
    seating: Seating
    tell: Callable[[Message], object]
    state: ClientState
    _client: Client | None = None
    _tasks: trio.Nursery = field(init=False)
    _named: trio.Event = field(factory=trio.Event)
    _retry: trio.Event = field(factory=trio.Event)
    _auditions: Auditions = field(factory=Auditions)
    _rejected: set[CallId] = field(factory=set[CallId])
    _said: tuple[trio.MemorySendChannel[Say], trio.MemoryReceiveChannel[Say]] = field(
        factory=lambda: trio.open_memory_channel[Say](MAX_SAID)
    )

    # -- wishes --------------------------------------------------------------------------------------------------------
    def take(self, wish: Wish) -> None:
        """Begin to carry out a wish."""
        match wish:
            case Connect():
                self.settings.keep(evolve(self.settings.now, name=wish.name))
                self._show(evolve(self.state, name=Name(wish.name)))
                self._named.set()
            case Retry():
                self._hurry()
            case Join() | Open():
                self.seating.want(wish)
            case Leave():
                self.seating.want(None)
            case Say():
                self._say(wish)
            case Choose():
                self.seating.choose(wish, self._client)
                if self._client is None:
                    self._show(self.state)
            case Audition():
                self._auditions.want(wish.is_on)
            case Turn() | TurnPerson() | Hush() | Prefer() | Deafen():
                self._sound(tuned(self.settings.now.sound, wish))
            case Talk() | TestEcho():
                self._do(wish)
            case Reject():
                self._rejected.add(wish.call_id)
                self._ask(wish)
            case _:
                self._ask(wish)

    def _keep_recordings(self, form: RecordingForm, folder: str) -> None:
        self._sound(evolve(self.settings.now.sound, form=form, recordings=folder))

    def _hurry(self) -> None:
        """Try to connect now; a client that does so by itself gets our seat back, a new one would not."""
        if self._client is not None and self.state.connection is ConnectionState.RECONNECTING:
            self._client.retry()
        elif self.state.connection is not ConnectionState.CONNECTED:
            self._retry.set()

    def _say(self, said: Say) -> None:
        try:
            self._said[0].send_nowait(said)
        except trio.WouldBlock:
            self.tell(Trouble(chat_labels.TOO_MUCH_SAID, said.text))

    def _sound(self, chosen: SoundSettings) -> None:
        """Have our sound, and that of others, like this from now on."""
        self.settings.keep(evolve(self.settings.now, sound=chosen))
        if self._client is not None:
            self._client.choose(chosen)
        else:
            self._show(evolve(self.state, choices=chosen))

    def _do(self, wish: Talk | TestEcho) -> None:
        """Do it now: what is asked of several tasks may be done in another order, and the key would stay down."""
        if self._client is None:
            return
        try:
            match wish:
                case Talk():
                    self._client.set_talking(wish.is_talking)
                case TestEcho():
                    self._client.set_echo_test(wish.is_on)
        except Refusal as no:
            self.tell(Trouble(words.of_refusal(no)))

    def _ask(self, wish: Request) -> None:
        unsaid = wish.text if isinstance(wish, Edit) else ""
        if self._client is None:
            self.tell(Trouble(labels.NOT_CONNECTED, unsaid))
        else:
            self._tasks.start_soon(
                attempt, partial(ask, wish=wish, keep=self._keep_recordings), self._client, self.tell, unsaid
            )

    # -- the connection ------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Be there for the person at the screen, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.settings.save)
            if self.settings.now.problem:
                self.tell(Trouble(self.settings.now.problem))
            await self._named.wait()
            pause = FIRST_PAUSE
            while True:
                self._retry = trio.Event()
                try:
                    name, user_id = self.settings.now.name, self.settings.now.user_id
                    sound = self.settings.now.sound
                    async with connect(self.url, name, user_id, takes_waiting_calls=True, sound=sound) as client:
                        pause = FIRST_PAUSE
                        await self._serve(client)
                    self.seating.wanted = again(self.seating.wanted)
                except ConnectFailed as why:
                    await self._wait_to_retry(why, pause)
                    pause = min(pause * 2, LONGEST_PAUSE)

    async def _wait_to_retry(self, why: ConnectFailed, pause: float) -> None:
        reason = words.of_problem(why.reason, why.remedy)
        if why.remedy == words.connect_remedy(LinkLost()):  # a server that is not there may come
            failed: RetryFailed | ConnectionLost = RetryFailed(reason, pause, trio.current_time() + pause)
        else:  # one that has no TLS, say, stays as it is
            failed, pause = ConnectionLost(reason, None, None), inf
        self._show(after(self.state, failed))
        self.tell(Offline(failed))
        with trio.move_on_after(pause):
            await self._retry.wait()

    async def _serve(self, client: Client) -> None:
        """Use a client until the person wants another one; it reconnects by itself."""
        self._retry = trio.Event()  # whoever was impatient has what he wanted
        try:
            async with trio.open_nursery() as self._tasks:
                self._client = client
                client.choose(self.settings.now.sound)  # which may have changed while it connected
                self.seating.equip(client)
                self._tasks.start_soon(self._relay, client)
                self._tasks.start_soon(self.seating.keep, client)
                self._tasks.start_soon(self._auditions.keep, client)
                self._tasks.start_soon(self._send, client)
                await self._retry.wait()
                self._tasks.cancel_scope.cancel()
        finally:
            self._client = None

    async def _relay(self, client: Client) -> None:
        """Pass on what the client learns."""
        async with client.changes() as changes:
            self._show(client.state)
            async for change in changes:
                self._show(change.new)
                if isinstance(change.event, Joined):
                    self.seating.joined(client, change.event.room)
                if isinstance(change.event, CallCancelled) and change.event.call_id in self._rejected:
                    self._rejected.remove(change.event.call_id)  # whoever said no need not be told that it is over
                else:
                    self._tell(told(change))

    def _tell(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.tell(message)

    def _show(self, state: ClientState) -> None:
        if self._client is None:  # nobody else knows of specs
            sound = evolve(state.sound, source=SideState(self.seating.source), sink=SideState(self.seating.sink))
            state = evolve(state, sound=sound)
        self.state = state
        self.tell(StateChanged(on_clock_of_the_screen(state)))

    async def _send(self, client: Client) -> None:
        """Send messages in the order in which they were written."""
        async for said in self._said[1]:
            say = partial(Client.say, content=said.text, reply_to=said.reply_to)
            await attempt(say, client, self.tell, said.text)
