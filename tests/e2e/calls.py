"""What the end-to-end tests share: people on virtual devices, and how well they understand each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from speech import intelligibility, say_sentences

if TYPE_CHECKING:
    from sound_server import VirtualSound

UNDERSTOOD: Final = 0.95  # STOI
ALICE: Final = (
    "The north wind and the sun were disputing.",
    "Which of the two was the stronger?",
    "A traveller came along the road.",
    "He was wrapped in a warm cloak.",
    "Who made him take it off should win.",
)
BOB: Final = (
    "A quick brown fox jumps over the lazy dog.",
    "Five wizards box quickly this evening.",
    "The kettle boils on the stove.",
    "Bring a dozen jugs of water.",
    "The ships sail before the storm.",
)
SETTLE: Final = 2.0  # s until the playout has found its delay


def devices(name: str, sound: VirtualSound) -> tuple[str, ...]:
    """Somebody's microphone and loudspeaker."""
    return ("--input", f"device:{sound.microphone(name)}", "--output", f"device:{sound.speaker(name)}")


def call(url: str, name: str, sound: VirtualSound) -> tuple[str, ...]:
    """A call in line mode on somebody's devices."""
    return ("call", url, "--room", "lobby", "--name", name, *devices(name, sound), "--json")


async def say_both(sound: VirtualSound, folder: Path) -> dict[str, float]:
    """Both speak in turns; how well each was understood by the other.

    In turns, for while both talk at once an echo canceller takes a part of the nearer voice, echo or not.
    """
    said = {"alice": say_sentences(ALICE, "en-us", folder), "bob": say_sentences(BOB, "en-gb", folder)}
    await trio.sleep(SETTLE)
    with sound.recording("alice") as at_alice, sound.recording("bob") as at_bob:
        for name, speech in said.items():
            await trio.to_thread.run_sync(sound.play(name, speech.samples).wait)
        await trio.sleep(1)  # what is still on its way
    return {
        "alice": intelligibility(said["alice"], at_bob[0]),
        "bob": intelligibility(said["bob"], at_alice[0]),
    }
