"""Keys that are let go of: terminals with the Kitty keyboard protocol tell it when they are asked, and Textual is not.

The only module that touches what is private to Textual's parser of keys; `tests/tui/test_keyboard.py` notices when that
changes. Source: https://sw.kovidgoyal.net/kitty/keyboard-protocol/, "Report event types".
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from textual.message import Message

if TYPE_CHECKING:
    from textual.driver import Driver

REPORT: Final = "\x1b[=2;2u"  # set flag 2 (event types) and leave the others; Textual's own end takes it back
_EVENT: Final = re.compile(r"(\x1b\[[\d:]*;\d*):([123])((?:;[\d:]*)?[u~A-HP-S])")
REPEATED: Final = "2"
RELEASED: Final = "3"


class KeyUp(Message, bubble=False):
    """A key was let go of; named as in `textual.events.Key`."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


class KeyHeld(Message, bubble=False):
    """A key comes again because it is held down, as its `textual.events.Key` behind this does not say."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


def reporting(usual: type[Driver]) -> type[Driver]:
    """The driver that also gives `KeyUp` and `KeyHeld`, where the terminal tells; elsewhere the usual one."""
    if sys.platform == "win32" or usual.__name__ != "LinuxDriver":
        return usual
    from textual._xterm_parser import XTermParser
    from textual.drivers import linux_driver

    class Parser(XTermParser):
        """Takes the type of the event out of a key's sequence, which Textual's cannot read with it."""

        def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Any]:
            if (event := _EVENT.fullmatch(sequence)) is None:
                yield from super()._sequence_to_key_events(sequence, alt)
                return
            before, kind, behind = event.groups()
            for key in super()._sequence_to_key_events(before + behind, alt):
                if kind == REPEATED:
                    yield KeyHeld(key.key)
                yield KeyUp(key.key) if kind == RELEASED else key

    class KeyReporting(linux_driver.LinuxDriver):
        """Asks for it."""

        def start_application_mode(self) -> None:
            super().start_application_mode()  # type: ignore[no-untyped-call]
            self.write(REPORT)
            self.flush()

    setattr(linux_driver, XTermParser.__name__, Parser)  # the driver makes its parser by this name
    return KeyReporting
