"""Which device a name means, and what a census notices; what libraries list is written down here."""

from __future__ import annotations

import sys

import pytest

from palaver_engine import devices
from palaver_engine.backends import Backend, Found
from palaver_engine.census import Census, compare
from palaver_engine.devices import Listing
from palaver_engine.miniaudio_backend import Miniaudio
from palaver_engine.portaudio import PortAudio
from palaver_engine.specs import SoundError
from palaver_media.engine_messages import Side

FIRST, SECOND = PortAudio(), Miniaudio()
FOUND = [
    *(Found(FIRST, at, name, at == 1) for at, name in enumerate(["USB Headset", "default", "HDMI", "hdmi 2"])),
    *(Found(SECOND, at, name, at == 0) for at, name in enumerate(["Built-in", "Blue Headset", "headset"])),
]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("", (FIRST, "default")),
        ("HDMI", (FIRST, "HDMI")),  # the whole name, though it is a part of another
        ("hdmi", (FIRST, "HDMI")),
        ("usb", (FIRST, "USB Headset")),
        ("headset", (SECOND, "headset")),  # the whole name of a later library before a part in an earlier one
        ("heads", (FIRST, "USB Headset")),  # one alone in the earlier library
        ("blue", (SECOND, "Blue Headset")),
    ],
)
def test_a_name_means_one_device(name: str, meant: tuple[Backend, str]):
    found = devices.choose(name, FOUND, Side.SINK)
    assert (found.backend, found.name) == meant


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


def listed(library: Backend, *names: str) -> list[Found]:
    """A library's devices of one side; the first is the default."""
    return [Found(library, name.encode(), name, at == 0) for at, name in enumerate(names)]


@pytest.mark.parametrize(("sees_more", "names"), [(True, ["default", "USB", "HDMI"]), (False, ["default", "USB"])])
def test_the_second_library_adds_what_the_first_does_not_see(sees_more: bool, names: list[str]):
    first, second = listed(FIRST, "default", "USB"), listed(SECOND, "HDMI", "USB")
    merged = devices.merge([Listing(first, True), Listing(second, sees_more)])
    assert [found.name for found in merged] == names
    assert [found.backend for found in merged[:2]] == [FIRST, FIRST]
    assert [device.name for device in devices.tell(merged) if device.is_default] == ["default"]


@pytest.mark.parametrize("first", [SoundError("it is missing", "install it"), Listing([], True)])
def test_the_second_library_takes_the_place_of_one_that_is_missing_or_finds_nothing(first: SoundError | Listing):
    found = listed(SECOND, "HDMI")
    assert devices.merge([first, Listing(found, False)]) == found


def test_where_no_library_finds_anything_the_first_that_does_not_work_says_why():
    missing, broken = SoundError("it is missing", "install it"), SoundError("it is broken", "mend it")
    for said in ([missing, broken], [missing, Listing([], False)], [Listing([], True), missing]):
        with pytest.raises(SoundError, match="it is missing") as refused:
            devices.merge(said)
        assert devices.none(refused.value).problem == "it is missing; install it"
    assert devices.merge([Listing([], True), Listing([], False)]) == []


def test_a_library_can_be_chosen(monkeypatch):
    monkeypatch.delenv(devices.SETTING, raising=False)
    assert [library.name for library in devices.backends()] == ["portaudio", "miniaudio"]
    monkeypatch.setenv(devices.SETTING, "miniaudio")
    assert [library.name for library in devices.backends()] == ["miniaudio"]
    monkeypatch.setenv(devices.SETTING, "third")
    with pytest.raises(SoundError, match="third") as refused:
        devices.find("", Side.SINK)
    assert refused.value.remedy == "set it to portaudio or miniaudio"


def test_a_census_notices_what_came_went_or_became_the_default():
    def seen(inputs: list[str], outputs: list[str]) -> dict[Side, list[Found]]:
        return {Side.SOURCE: listed(SECOND, *inputs), Side.SINK: listed(SECOND, *outputs)}

    before = seen(["mic"], ["speaker", "HDMI"])
    assert compare(before, seen(["mic"], ["speaker", "HDMI"])) is None
    plugged = seen(["mic"], ["speaker", "HDMI", "USB Headset"])
    came = compare(before, plugged)
    assert came is not None
    assert (came.concerns("headset"), came.concerns("speaker"), came.defaults) == (True, False, frozenset())
    turned = seen(["mic"], ["HDMI", "speaker", "USB Headset"])
    changed = compare(plugged, turned)
    assert changed is not None
    assert (changed.devices, changed.defaults) == ((), {Side.SINK})
    went = compare(turned, seen([], ["HDMI", "speaker", "USB Headset"]))
    assert went is not None
    assert (went.concerns("mic"), went.defaults) == (True, {Side.SOURCE})


def test_without_miniaudio_nothing_seems_to_change(monkeypatch):
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    census = Census()
    assert census.look() is None
    assert census.look() is None
