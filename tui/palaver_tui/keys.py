"""Every key: what it does, how the footer calls it, and how the help explains it.

Only keys that terminals deliver: letters, which a line to write in takes for itself, and Ctrl with letters that
are no other key (Ctrl+I is Tab, Ctrl+M is Enter, Ctrl+H is Backspace).
"""

from __future__ import annotations

from typing import Final

from attrs import frozen
from textual.binding import Binding


@frozen
class Key:
    """A key and its action; one without `label` is not in the footer.

    One `is_global` acts before whatever has the focus, in the order in which keys come: it works while writing, too.
    """

    key: str
    action: str
    label: str
    shown: str
    help: str
    is_global: bool = False

    def binding(self) -> Binding:
        """The key for Textual."""
        return Binding(
            self.key,
            self.action,
            self.label or self.help,
            show=bool(self.label),
            key_display=self.shown,
            priority=self.is_global,
        )


_TALK: Final = "push-to-talk, if it is chosen: held, or pressed twice"
TALK_KEYS: Final = tuple(  # one of them is chosen; terminals deliver them, and there is no other use for them
    Key(key, f"talk('{key}')", "Talk", shown, _TALK)
    for key, shown in (("space", "Space"), ("f8", "F8"), ("f9", "F9"), ("insert", "Ins"), ("grave_accent", "`"))
)
HELP_KEY: Final = Key("question_mark", "help", "", "?", "show this page")
MUTE_KEY: Final = Key("ctrl+t", "mute", "", "^t", "the same, also while you write, and in every window")
MAIN_KEYS: Final = (
    HELP_KEY,
    TALK_KEYS[0],
    Key("m", "mute", "Mute", "m", "mute or unmute your microphone"),
    MUTE_KEY,
    # Global: what is typed right after it, before anything else can run, is written and is no command.
    Key("c", "chat", "Chat", "c", "write to the room: Enter sends, Esc stops", is_global=True),
    Key("l", "leave", "Leave", "l", "leave the room"),
    Key("h,l", "hang_up", "Hang up", "h", "hang up, in a call between two"),
    Key("p", "people", "Call", "p", "go to who is online, to call or invite somebody"),
    Key("n", "open", "New", "n", "make a room, or join one by its name"),
    Key("e", "end", "End", "e", "end the room for all, where you may"),
    Key("s", "sound", "Sound", "s", "choose devices, and how your sound is treated"),
    Key("v", "view", "View", "v", "lists or room, where there is no space for both"),
    Key("r", "retry", "Retry", "r", "connect now, while the connection is lost"),
    Key("a", "deafen", "Deaf", "a", "hear nobody, or hear again"),
    Key("R", "record", "Record", "R", "record the call; once more ends it"),
    Key("g", "figures", "Figures", "g", "how the sound of each person arrives"),
    Key("escape", "close_banner", "", "Esc", "close the line about missing devices"),
    Key("b", "background", "", "b", "dark or light background"),
)
PEOPLE_KEYS: Final = (
    Key("p", "call", "Call", "p", "call the selected person"),
    Key("i", "invite", "Invite", "i", "invite the selected person to your room"),
    Key("escape", "screen.rooms", "", "Esc", "go back to the rooms"),
)
SEAT_KEYS: Final = (
    Key("enter", "hear", "Hear", "↵", "how you hear the selected person, and figures"),
    Key("plus,equals_sign", "turn(1)", "", "+", "hear the selected person louder"),
    Key("minus", "turn(-1)", "", "-", "hear them less loud"),
    Key("u", "hush", "Hush", "u", "hear them no more, or again; they are not told"),
    Key("t", "hand_over", "Make host", "t", "make the selected person the host, where you may"),
)
CHAT_KEYS: Final = (
    Key("enter", "deed('reply')", "Reply", "↵", "answer the selected message"),
    Key("w", "deed('edit')", "Reword", "w", "write your own message anew"),
    Key("d,delete", "deed('delete')", "Delete", "d", "delete your own message"),
    Key("x", "deed('react')", "React", "x", "react to the message, or take that back"),
    Key("o", "older", "Older", "o", "read older messages, as scrolling on at the top does"),
    Key("up", "move(-1)", "", "↑", "select the message above"),
    Key("down", "move(1)", "", "↓", "select the message below"),
)
RING_KEYS: Final = (
    Key("ctrl+y", "accept", "", "^y", "accept the call that rings", is_global=True),
    Key("ctrl+n", "reject", "", "^n", "reject it", is_global=True),
    Key("ctrl+r", "reject_because", "", "^r", "reject it with a reason", is_global=True),
    Key("ctrl+g", "next_ring", "", "^g", "go to the next one, where several ring", is_global=True),
)
APP_KEYS: Final = (
    Key("ctrl+q", "quit", "", "^q", "leave the room and Palaver", is_global=True),
    Key("ctrl+c", "copy_or_quit", "", "^c", "the same; copies, where text is selected", is_global=True),
)
ALWAYS: Final = ((HELP_KEY, "Help"), (APP_KEYS[0], "Quit"))  # in the footer, however short it is
FIRST: Final = (  # in the footer before all others: what Enter does, and what one needs most in a room
    CHAT_KEYS[0].action,
    SEAT_KEYS[0].action,
    *(key.action for key in TALK_KEYS),
    "mute",
    "chat",
    "leave",
    "hang_up",
    "view",
    "sound",
    "record",
    "retry",
)
MOVES: Final = (
    ("Tab Shift+Tab", "go to the next or previous pane"),
    ("↑ ↓ PgUp PgDn", "move in a list or scroll"),
    ("Enter", "join the room, or the person in theirs; else it asks"),
    ("Esc", "close a window, or end the writing"),
)
SECTIONS: Final = (
    ("", (*MAIN_KEYS, *APP_KEYS)),
    ("While a call comes in, wherever you are", RING_KEYS),
    ("In the list of people online", PEOPLE_KEYS),
    ("In the chat (Tab goes there)", CHAT_KEYS),
    ("Among the people of your room", SEAT_KEYS),
)
