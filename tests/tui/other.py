"""Another person in the room, in line mode: what a test reads of him is what was heard and seen elsewhere."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from running import Program, running

SOUND: Final = ("--input", "tone:440", "--output", "null")


@asynccontextmanager
async def bob(url: str, folder: Path) -> AsyncIterator[Program]:
    """Bob, who has come to the lobby."""
    env = {**os.environ, "XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder)}
    async with running("call", url, "--name", "bob", "--room", "lobby", *SOUND, "--json", env=env) as program:
        await program.wait_event("joined")
        yield program
