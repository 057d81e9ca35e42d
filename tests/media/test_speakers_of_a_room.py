"""Who speaks, from a client's microphone through the server to everybody else: real processes."""

import os
from pathlib import Path

import pytest

from client.test_line_mode import write_tone
from running import running, serving
from world import visiting

pytestmark = pytest.mark.trio


async def test_others_are_told_who_speaks_and_that_he_has_ended(tmp_path: Path) -> None:
    said = tmp_path / "said.wav"
    write_tone(said, 660, 1.0)  # followed by silence
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    sound = ("--input", f"file:{said}", "--output", "null")
    async with serving() as (url, _), visiting(url, "bob") as bob:
        room_id = (await bob.does("createRoom", roomType="group", roomName="den"))["room"]["roomId"]
        async with running("call", url, "--room", "den", "--name", "Ann", *sound, env=env) as ann:
            joined, produced = await bob.expect("userJoined"), await bob.expect("newProducer")
            told = await bob.expect("activeSpeakers")
            (speaker,) = told.pop("speakers")
            assert told == {"roomId": room_id}
            assert -20 < -speaker.pop("level") < 0
            assert speaker == {"userId": joined["userId"], "producerId": produced["producerId"]}
            assert (await bob.expect("activeSpeakers"))["speakers"] == []
            assert await ann.end() == 0
