"""Web pages in headless Chromium with npm's socket.io-client and mediasoup-client, unmodified, in real calls."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import trio
from attrs import frozen

from interop.chromium import Browser, Page, PageError, bundle, chromium, driving, web_server
from interop.relay import Relay, relay
from running import running
from standing import standing

pytestmark = [pytest.mark.trio, pytest.mark.timeout(90)]

NEAR: Final = 6  # Hz between pitches that are the same
FRAMES: Final = 80  # of a video: 4 s
SITE: Final = "http://pages.example"  # web pages come from another host than the server


@frozen
class World:
    """A browser, pages for it, and a server that lets them in."""

    browser: str
    server: str
    port: int

    @asynccontextmanager
    async def room(self, name: str) -> AsyncIterator[Room]:
        """A room, empty at first; whoever comes in is gone at the end of the block."""
        async with driving(self.browser) as browser:
            yield Room(self, browser, name)


@frozen
class Room:
    """A room for people on web pages."""

    world: World
    browser: Browser
    name: str

    async def enter(self, name: str, hz: float | None = None, colour: str | None = None, **options: object) -> Page:
        """Somebody on a page of his own, who says a tone or shows a colour."""
        page = await self.browser.open(f"{SITE}:{self.world.port}/")
        await page.call("enter", self.world.server, name, self.name, options)
        if hz is not None:
            await page.call("say", hz)
        if colour is not None:
            await page.call("show", colour)
        return page

    async def enter_behind(self, relay: Relay, direction: str, name: str, has_rtx: bool = True) -> Page:
        """Somebody for whom one direction of media goes by a relay."""
        page = await self.enter(name, relays={direction: relay.port}, hasRtx=has_rtx)
        relay.target = await page.run("call.mediaPort")
        return page


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with web_server(bundle(tmp_path_factory.mktemp("pages"))) as port:
        site = f"{SITE}:{port}"
        serve = ("-m", "palaver_server", "--port", "0", "--workers", "1", "--allow-origin", site)
        trust = f"--unsafely-treat-insecure-origin-as-secure={site}"  # as if it had a certificate
        with standing(*serve) as server, chromium(tmp_path_factory.mktemp("chromium"), trust) as browser:
            yield World(browser, server, port)


async def test_everybody_hears_the_right_person_and_a_late_joiner_hears_both(world: World) -> None:
    async with world.room("tones") as room:
        ann = await room.enter("ann", hz=440)
        ben = await room.enter("ben", hz=880, transports=["websocket"])
        await ann.call("tones", {"ben": 880})
        await ben.call("tones", {"ann": 440})
        cy = await room.enter("cy", hz=1320)
        await cy.call("tones", {"ann": 440, "ben": 880})
        await ann.call("tones", {"ben": 880, "cy": 1320})
        await ben.call("tones", {"ann": 440, "cy": 1320})


async def test_who_shows_himself_is_seen_also_by_who_comes_late(world: World) -> None:
    async with world.room("colours") as room:
        ann = await room.enter("ann", colour="red")
        ben = await room.enter("ben", colour="blue")
        assert await ann.call("picture", "ben") == "blue"
        assert await ben.call("picture", "ann") == "red"
        cy = await room.enter("cy")
        assert await cy.call("picture", "ann") == "red"
        assert await cy.call("picture", "ben") == "blue"


async def test_who_is_muted_is_not_heard_until_he_is_not(world: World) -> None:
    async with world.room("mute") as room:
        ann, ben = await room.enter("ann", hz=440), await room.enter("ben")
        await ben.call("tones", {"ann": 440})
        await ann.call("mute", True)
        assert (await ben.call("hears", "participantMediaStateUpdated"))["isMuted"]
        await ben.call("silence", "ann")
        await ann.call("mute", False)
        await ben.call("tones", {"ann": 440})


async def test_a_voice_that_one_does_not_want_to_hear_pauses(world: World) -> None:
    async with world.room("pause") as room:
        ann, ben = await room.enter("ann", hz=440), await room.enter("ben")
        await ben.call("tones", {"ann": 440})
        await ben.call("listen", "ann", False)
        await ben.call("silence", "ann")
        await ann.call("retune", 660)
        await ben.call("listen", "ann", True)
        await ben.call("tones", {"ann": 660})


async def test_who_speaks_is_told(world: World) -> None:
    async with world.room("speakers") as room:
        ben = await room.enter("ben")
        await room.enter("ann", hz=440)
        (speaker,) = (await ben.call("hears", "activeSpeakers"))["speakers"]
        assert speaker["userId"] == "ann"


async def test_a_call_goes_on_after_an_ice_restart(world: World) -> None:
    async with world.room("roaming") as room:
        ann, ben = await room.enter("ann", hz=440), await room.enter("ben", hz=880)
        await ben.call("tones", {"ann": 440})
        await ann.call("tones", {"ben": 880})
        for page in (ann, ben):
            await page.call("restartIce")
        await ann.call("retune", 660)
        await ben.call("retune", 1100)
        await ben.call("tones", {"ann": 660})
        await ann.call("tones", {"ben": 1100})


async def test_a_camera_that_is_turned_off_is_gone_and_the_voice_stays(world: World) -> None:
    async with world.room("camera") as room:
        ann, ben = await room.enter("ann", hz=440, colour="green"), await room.enter("ben")
        assert await ben.call("picture", "ann") == "green"
        await ann.call("hide")
        assert (await ben.call("hears", "producerClosed"))["userId"] == "ann"
        assert await ben.call("tracks") == ["ann audio"]
        await ben.call("tones", {"ann": 440})
        await ann.call("show", "blue")
        assert await ben.call("picture", "ann") == "blue"


@pytest.mark.parametrize("has_rtx", [True, False])
async def test_a_fifth_of_the_video_is_lost_and_sent_again(world: World, has_rtx: bool) -> None:
    async with world.room("losses") as room, relay() as path:
        ben = await room.enter_behind(path, "recv", "ben", has_rtx)
        ann = await room.enter("ann", colour="blue")
        assert await ben.call("picture", "ann") == "blue"
        seen = await ben.call("video", "ann", FRAMES)
        assert seen["mimeType"] == "video/VP8"
        assert seen["nackCount"] > 0
        assert seen["keyFramesDecoded"] < path.lost / 3  # it did not have to begin anew
        assert (seen.get("retransmittedPacketsReceived", 0) > 0) is has_rtx
        assert seen.get("rtxSsrc") == (seen["ssrc"] + 1 if has_rtx else None)
        assert path.lost > 0.1 * path.passed
        assert (await ann.call("shown"))["nackCount"] == 0  # she has nothing to do with it


@pytest.mark.parametrize("codec", ["video/H264", pytest.param("video/VP8", marks=pytest.mark.long)])
async def test_a_fifth_of_the_video_is_lost_on_either_way(world: World, codec: str) -> None:
    async with world.room("great losses") as room, relay() as up, relay() as down:
        ben = await room.enter_behind(down, "recv", "ben")
        ann = await room.enter_behind(up, "send", "ann")
        await ann.call("show", "blue", codec)
        assert await ben.call("picture", "ann") == "blue"
        seen, sent = await ben.call("video", "ann", FRAMES), await ann.call("shown")
        assert (seen["mimeType"], sent["mimeType"]) == (codec, codec)
        assert seen["retransmittedPacketsReceived"] > 0
        assert sent["retransmittedPacketsSent"] > 0
        assert seen["keyFramesDecoded"] < (up.lost + down.lost) / 3
        assert min(up.lost, down.lost) > 0


async def test_a_wrong_fingerprint_gets_nothing_and_is_told(world: World) -> None:
    async with world.room("strangers") as room:
        ann = await room.enter("ann", hz=440)
        eve = await room.enter("eve", wrongFingerprint=True)
        assert (await eve.call("hears", "transportFailed"))["reason"] == "fingerprint"  # for what she would receive
        with suppress(PageError):  # the server may find out before she can produce
            await eve.call("say", 880)
        assert (await eve.call("hears", "transportFailed", 1))["reason"] == "fingerprint"  # for what she would send
        assert await eve.call("packets", "ann") == 0
        await ann.call("gone", "eve")
        ben = await room.enter("ben")
        await ben.call("tones", {"ann": 440})


async def test_a_page_of_another_site_is_not_let_in(world: World) -> None:
    async with driving(world.browser) as browser:
        page = await browser.open(f"http://elsewhere.example:{world.port}/")
        for transports in (["polling"], ["websocket"]):
            with pytest.raises(PageError, match="no connection"):
                await page.call("enter", world.server, "ann", "door", {"transports": transports})


async def test_a_page_and_a_terminal_hear_each_other(world: World, tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    sound = ("--input", "tone:880", "--output", f"file:{tmp_path / 'heard.wav'}")
    async with world.room("mixed") as room:
        ann = await room.enter("ann", hz=440)
        async with running("call", world.server, "--room", "mixed", "--name", "ben", *sound, "--json", env=env) as ben:
            await ben.wait_event("mediaStarted", name="ann")
            await ann.call("tones", {(await ann.call("hears", "userJoined"))["userId"]: 880})
            await trio.sleep(1.5)  # of sound, to measure
            await ben.end()
    assert abs(pitch(tmp_path / "heard.wav") - 440) <= NEAR


def pitch(path: Path) -> float:
    """The strongest pitch in the last second but a quarter of a file, in Hz."""
    with wave.open(str(path)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)[::channels]
    sound = sound[-rate : -rate // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.fft.rfftfreq(len(sound), 1 / rate)[int(np.argmax(spectrum))])


@pytest.mark.long
async def test_a_call_outlives_the_time_that_consent_lasts(world: World) -> None:
    async with world.room("patience") as room:
        ann, ben = await room.enter("ann", hz=440), await room.enter("ben", hz=880)
        await trio.sleep(35)  # RFC 7675: consent lasts 30 s
        await ann.call("tones", {"ben": 880})
        await ben.call("tones", {"ann": 440})
        assert await ann.call("hasHeard", "transportFailed") is False
