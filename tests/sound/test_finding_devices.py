"""Which device a name means, and what a census notices; the libraries here are lists."""

from __future__ import annotations

import pytest
from attrs import define, field

from palaver_engine import devices
from palaver_engine.backends import Found, Hear, Running, Talk
from palaver_engine.census import Census
from palaver_engine.specs import SoundError
from palaver_media.engine_messages import Side


@define(eq=False)
class Library:
    """A sound library whose devices are what the test says: names by side, the first is the default."""

    name: str
    names: dict[Side, list[str]] = field(factory=dict)
    sees_more: bool = True
    refusal: SoundError | None = None

    def find_all(self, side: Side) -> list[Found]:
        if self.refusal is not None:
            raise self.refusal
        names = self.names.get(side, [])
        return [Found(self, name.encode(), name, at == 0) for at, name in enumerate(names)]

    def capture(self, microphone: Found, talk: Talk) -> Running:
        raise NotImplementedError

    def play(self, speaker: Found, hear: Hear, *, is_near: bool) -> Running:
        raise NotImplementedError

    def refresh(self) -> None:
        """Nothing is kept."""


FIRST = Library("first")
SECOND = Library("second")
FOUND = [
    *(Found(FIRST, at, name, at == 1) for at, name in enumerate(["USB Headset", "default", "HDMI", "hdmi 2"])),
    *(Found(SECOND, at, name, at == 0) for at, name in enumerate(["Built-in", "Blue Headset", "headset"])),
]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("", ("first", "default")),
        ("HDMI", ("first", "HDMI")),  # the whole name, though it is a part of another
        ("hdmi", ("first", "HDMI")),
        ("usb", ("first", "USB Headset")),
        ("headset", ("second", "headset")),  # the whole name of a later library before a part in an earlier one
        ("heads", ("first", "USB Headset")),  # one alone in the earlier library
        ("blue", ("second", "Blue Headset")),
    ],
)
def test_a_name_means_one_device(name: str, meant: tuple[str, str]):
    found = devices.choose(name, FOUND, Side.SINK)
    assert (found.backend.name, found.name) == meant


def test_a_part_of_several_names_is_refused_with_the_names():
    with pytest.raises(SoundError, match="several output devices") as refused:
        devices.choose("hd", FOUND, Side.SINK)
    assert refused.value.remedy == "choose one of: HDMI, hdmi 2"


def test_two_devices_of_one_name_are_refused():
    found = [Found(FIRST, at, "Headset", False) for at in range(2)]
    with pytest.raises(SoundError, match="several"):
        devices.choose("Headset", found, Side.SOURCE)


def test_a_name_of_nothing_is_refused_with_what_there_is():
    with pytest.raises(SoundError, match="no input device named 'radio'") as refused:
        devices.choose("radio", FOUND, Side.SOURCE)
    assert "USB Headset" in refused.value.remedy
    with pytest.raises(SoundError, match="no input device"):
        devices.choose("", [], Side.SOURCE)


@pytest.fixture
def libraries(monkeypatch) -> tuple[Library, Library]:
    first, second = Library("first"), Library("second")
    monkeypatch.setattr(devices, "_BACKENDS", {"first": first, "second": second})
    monkeypatch.delenv(devices.SETTING, raising=False)
    return first, second


def names(side: Side) -> list[str]:
    return [found.name for found in devices.find_all(side)]


def test_the_second_library_adds_what_the_first_does_not_see(libraries: tuple[Library, Library]):
    first, second = libraries
    first.names = {Side.SINK: ["default", "USB"]}
    second.names = {Side.SINK: ["USB", "HDMI"]}
    assert names(Side.SINK) == ["default", "USB", "HDMI"]
    assert [device.name for device in devices.list_devices().outputs if device.is_default] == ["default"]
    second.sees_more = False
    assert names(Side.SINK) == ["default", "USB"]


def test_the_second_library_takes_the_place_of_one_that_is_missing(libraries: tuple[Library, Library], monkeypatch):
    first, second = libraries
    first.refusal, second.sees_more = SoundError("it is missing", "install it"), False
    second.names = {Side.SINK: ["HDMI"]}
    assert devices.find("", Side.SINK).name == "HDMI"
    with pytest.raises(SoundError, match="it is missing"):
        devices.find("", Side.SOURCE)
    monkeypatch.setenv(devices.SETTING, "first")
    assert devices.list_devices().problem == "it is missing; install it"


def test_a_library_can_be_chosen(libraries: tuple[Library, Library], monkeypatch):
    first, second = libraries
    first.names = second.names = {Side.SINK: ["HDMI"]}
    monkeypatch.setenv(devices.SETTING, "second")
    assert devices.find("", Side.SINK).backend is second
    monkeypatch.setenv(devices.SETTING, "third")
    with pytest.raises(SoundError, match="third") as refused:
        devices.find("", Side.SINK)
    assert refused.value.remedy == "set it to first or second"


def test_a_census_notices_what_came_went_or_became_the_default():
    library = Library("list", {Side.SOURCE: ["mic"], Side.SINK: ["speaker", "HDMI"]})
    census = Census(library)
    assert census.look() is None
    assert census.look() is None
    library.names[Side.SINK] = ["speaker", "HDMI", "USB Headset"]
    came = census.look()
    assert came is not None
    assert (came.concerns("headset"), came.concerns("speaker"), came.defaults) == (True, False, frozenset())
    library.names[Side.SINK] = ["HDMI", "speaker", "USB Headset"]
    changed = census.look()
    assert changed is not None
    assert (changed.devices, changed.defaults) == ((), {Side.SINK})
    library.names[Side.SOURCE] = []
    went = census.look()
    assert went is not None
    assert (went.concerns("mic"), went.defaults) == (True, {Side.SOURCE})
    library.refusal = SoundError("it is missing", "install it")
    assert census.look() is None
