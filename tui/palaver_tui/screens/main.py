"""The main screen: who is online, which rooms there are, and the room we are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from palaver_client.events import ConnectionLost, RetryFailed
from palaver_client.state import ClientState
from palaver_protocol.models import RoomId, UserId
from palaver_tui import chat_labels
from palaver_tui.keys import MAIN_KEYS
from palaver_tui.messages import Asked
from palaver_tui.usable_keys import is_usable, keys_of
from palaver_tui.widgets.banner import Banner
from palaver_tui.widgets.chat import ChatLog
from palaver_tui.widgets.chat_input import ChatInput
from palaver_tui.widgets.follow import follow, our_room
from palaver_tui.widgets.foot import Foot
from palaver_tui.widgets.people import PeopleList
from palaver_tui.widgets.ringing import Ringing
from palaver_tui.widgets.room import Room, Welcome
from palaver_tui.widgets.rooms import RoomList
from palaver_tui.widgets.status import StatusBar
from palaver_tui.wishes import Deafen, Invite, Join, Leave, Record, Retry, Wish

from .questions import ask_about, ask_end, ask_record, ask_room
from .talking import Talking

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


class Main(Talking[None]):
    """What one looks at most of the time. Its actions turn keys and clicks into wishes."""

    BINDINGS = [key.binding() for key in MAIN_KEYS]

    def __init__(self, state: ClientState, last_room: str) -> None:
        super().__init__(id="main")
        self._state = state
        self._last_room = last_room

    def compose(self) -> ComposeResult:
        """Lists at the left, the room at the right."""
        yield StatusBar(id="status")
        yield Banner(id="banner", markup=False)
        with Horizontal(id="body"):
            with Vertical(id="lists"):
                yield RoomList()
                yield PeopleList()
            yield Welcome()
            yield Room()
        yield Ringing()
        yield Foot(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Watch what decides about panes and keys."""
        follow(self, our_room, self._enter)
        follow(self, keys_of, self._renew_keys)
        self.query_one(RoomList).focus()

    def _remember(self, state: ClientState) -> None:
        super()._remember(state)
        if state.room is not None:
            self._last_room = state.room.room_name

    def _enter(self, room_id: RoomId | None) -> None:
        self.set_class(room_id is not None, "-in-room")
        self.remove_class("-lists")
        if room_id is None and self.focused is not None and self.query_one(Room) in self.focused.ancestors:
            self._focus(self.query_one(RoomList))
        self.refresh_bindings()

    def _renew_keys(self, _: object) -> None:
        self.refresh_bindings()

    def _ask(self, wish: Wish) -> None:
        self.post_message(Asked(wish))

    def tell(self, text: str) -> None:
        """Something happened that those in the room may read."""
        if self._state.room is not None:
            self.query_one(ChatLog).tell(text)

    def offline(self, lost: ConnectionLost | RetryFailed) -> None:
        """There is no connection."""
        self.query_one(Banner).lost(lost)

    def missed(self, user_id: UserId) -> None:
        """Somebody rang in vain."""
        self.query_one(PeopleList).miss(user_id)

    def put_back(self, text: str) -> None:
        """A message could not be sent."""
        self.query_one(ChatInput).put_back(text)

    # -- keys ----------------------------------------------------------------------------------------------------------
    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys are of use just now."""
        is_writing = isinstance(self.focused, Input)
        is_narrow = self.has_class("-narrow")
        return is_usable(action, parameters, self._state, is_writing=is_writing, is_narrow=is_narrow)

    def action_deafen(self) -> None:
        """Hear nobody, or hear again."""
        self._ask(Deafen(not self._state.choices.volume.is_deaf))

    def action_record(self) -> None:
        """Record, once that is confirmed, or no longer."""
        if self._state.doing.wanted is not None:
            self._ask(Record(None))
        else:
            ask_record(self, self._state)

    def action_figures(self) -> None:
        """Show how the sound travels."""
        from .figures import Figures

        self.app.push_screen(Figures())

    def action_chat(self) -> None:
        """Write to the room."""
        self.remove_class("-lists")
        self._focus(self.query_one(ChatInput))

    def _focus(self, widget: Widget) -> None:
        """Let keys go there from the very next one on, as far as the widget is on the screen already."""
        if widget.focusable:
            self.set_focus(widget)
        else:
            widget.focus()

    def action_people(self) -> None:
        """Go to the people who are online."""
        self.add_class("-lists", "-people")
        self._focus(self.query_one(PeopleList))

    def action_rooms(self) -> None:
        """Go to the rooms; the key for it also closes the banner, as it does in other panes."""
        self.action_close_banner()
        self.remove_class("-people")
        self._focus(self.query_one(RoomList))

    def action_leave(self) -> None:
        """Leave the room."""
        self._ask(Leave())

    def action_hang_up(self) -> None:
        """Leave a call between two, which ends it."""
        self._ask(Leave())

    def action_retry(self) -> None:
        """Connect now."""
        self._ask(Retry())

    def action_view(self) -> None:
        """Show the other half of a narrow screen."""
        self.toggle_class("-lists")

    def action_open(self) -> None:
        """Make a room."""
        ask_room(self, self._last_room)

    def action_end(self) -> None:
        """End the room, once that is confirmed."""
        ask_end(self)

    def action_sound(self) -> None:
        """Choose devices, and how our sound is treated."""
        from .devices import ChooseSound

        self.app.push_screen(ChooseSound())

    def action_help(self) -> None:
        """Explain the keys."""
        from .help import Help

        self.app.push_screen(Help())

    def action_close_banner(self) -> None:
        """Let the trouble with devices be."""
        self.query_one(Banner).put_away()

    def action_background(self) -> None:
        """Dark or light."""
        self.app.theme = "palaver-light" if self.app.current_theme.dark else "palaver-dark"

    # -- what widgets tell ---------------------------------------------------------------------------------------------
    def on_room_list_picked(self, event: RoomList.Picked) -> None:
        """Join the chosen room."""
        self._join(event.room_id)

    def on_people_list_picked(self, event: PeopleList.Picked) -> None:
        """Join the chosen person, or ask what else to do."""
        room_id = event.user.current_room_id
        if self._state.participant(event.user.user_id) is not None:
            self.action_chat()
        elif room_id is not None and any(room.room_id == room_id for room in self._state.rooms):
            self._join(room_id)
        else:
            ask_about(self, self._state, event.user)

    def on_people_list_invited(self, event: PeopleList.Invited) -> None:
        """Invite the chosen person."""
        self._ask(Invite(event.user.user_id))

    def _join(self, room_id: RoomId) -> None:
        room = next((room for room in self._state.rooms if room.room_id == room_id), None)
        if self._state.room is not None and self._state.room.room_id == room_id:
            self.action_chat()
        elif room is not None:
            self._ask(Join(room_id, room.room_name))

    def older_shown(self, has_older: bool) -> None:
        """A page of older messages was read."""
        self.query_one(ChatLog).older_shown(has_older)

    def on_descendant_focus(self) -> None:
        """Other keys are of use while writing; where there is no space for both lists, it is for the one in use."""
        if not isinstance(self.focused, PeopleList):
            self.remove_class("-people")
        is_writing = isinstance(self.focused, Input)
        self.query_one(ChatInput).placeholder = chat_labels.WRITING if is_writing else chat_labels.WRITE
