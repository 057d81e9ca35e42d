"""Key releases: what Textual's parser makes of them with our addition, and that it still needs it."""

from __future__ import annotations

import pytest
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.drivers.headless_driver import HeadlessDriver
from textual.events import Key

from palaver_tui.keyboard import KeyHeld, KeyUp, reporting


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> object:
    """What the driver reads keys with, once it is asked to report releases."""
    name = "XTermParser"
    usual = getattr(linux_driver, name)
    monkeypatch.setattr(linux_driver, name, usual)  # so that it is as before afterwards
    assert reporting(linux_driver.LinuxDriver) is not linux_driver.LinuxDriver
    assert getattr(linux_driver, name) is not usual
    return getattr(linux_driver, name)()


def read(parser: object, sequence: str) -> list[str]:
    """The keys, with + for one that goes down, - for one that comes up, and = for one that is held."""
    got = list(parser.feed(sequence))  # type: ignore[attr-defined]
    marks = {Key: "+", KeyUp: "-", KeyHeld: "="}
    return [f"{marks[type(event)]}{event.key}" for event in got]


@pytest.mark.parametrize(
    ("sequence", "keys"),
    [
        ("\x1b[32;1:1;32u", ["+space"]),
        ("\x1b[32;;32u\x1b[32;1:2;32u\x1b[32;1:3u", ["+space", "=space", "+space", "-space"]),
        ("\x1b[20;1:3~", ["-f9"]),
        ("\x1b[1;1:1A\x1b[1;1:2A\x1b[1;1:3A", ["+up", "=up", "+up", "-up"]),
        ("\x1b[97;5:3u", ["-ctrl+a"]),
        ("\x1b[27;1:3u", ["-escape"]),
        ("\x1b[97;1:1;97u\x1b[98;1:1;98u\x1b[97;1:3u\x1b[98;1:3u", ["+a", "+b", "-a", "-b"]),
        (" a\x1b[A", ["+space", "+a", "+up"]),  # a terminal without the protocol
    ],
)
def test_keys_go_down_and_come_up(parser: object, sequence: str, keys: list[str]) -> None:
    assert read(parser, sequence) == keys


def test_what_is_typed_keeps_its_character(parser: object) -> None:
    (event,) = parser.feed("\x1b[228;1:1;228u")  # type: ignore[attr-defined]
    assert event.character == "ä"


def test_it_may_come_in_pieces(parser: object) -> None:
    assert [read(parser, piece) for piece in ("\x1b[32", ";1:", "3", "u")] == [[], [], [], ["-space"]]


def test_textual_alone_cannot_read_them() -> None:
    """When this fails, Textual has learned it, and the addition can go."""
    with pytest.raises(ValueError, match="invalid literal"):
        list(XTermParser().feed("\x1b[32;1:3u"))


def test_other_drivers_stay_as_they_are() -> None:
    assert reporting(HeadlessDriver) is HeadlessDriver
