"""The installed `palaver` in a real terminal (tmux), as a person sees it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio
from attrs import field, frozen

PATIENCE: Final = 20.0  # s, on a loaded machine
PALAVER: Final = Path(sys.executable).with_name("palaver")


@frozen
class Terminal:
    """A terminal in which a shell runs the full screen, and then tells its exit code."""

    folder: Path
    env: Mapping[str, str] = field(factory=dict)

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", str(self.folder / "tmux"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def start(self, *arguments: str, size: tuple[int, int] = (80, 24)) -> None:
        command = shlex.join([str(PALAVER), *arguments])
        afterwards = "code=$?; stty -g >stty-after; echo exit $code; exec sleep 600"
        line = f"echo before; stty -g >stty-before; {command}; {afterwards}"
        homes = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_STATE_HOME"), str(self.folder))
        variables = [f"-e{name}={value}" for name, value in {**homes, **self.env}.items()]
        width, height = map(str, size)
        if not self.tmux("list-sessions"):
            self.tmux("new-session", "-d", "-x", width, "-y", height, "exec sleep 600")
        self.tmux("respawn-pane", "-k", "-c", str(self.folder), *variables, line)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def client(self) -> int:
        """The process id of the program in front."""
        shell = self.tmux("display", "-p", "#{pane_pid}").strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(children[0])

    async def wait_for(self, *parts: str, gone: str | None = None) -> str:
        """The screen, once all of that is on it."""
        with trio.move_on_after(PATIENCE):
            while True:
                seen = self.screen()
                if all(part in seen for part in parts) and (gone is None or gone not in seen):
                    return seen
                await trio.sleep(0.05)
        raise AssertionError(f"no {parts} (or still {gone!r}) on this screen:\n{self.screen()}")

    async def wait_end(self, code: int) -> None:
        """The program's end, with its terminal as it was."""
        seen = await self.wait_for(f"exit {code}")
        assert "before" in seen  # the screen from before is back
        assert (self.folder / "stty-before").read_text() == (self.folder / "stty-after").read_text()
        assert self.tmux("display", "-p", "#{cursor_flag}#{alternate_on}#{mouse_any_flag}").strip() == "100"


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only what nobody has waited for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
