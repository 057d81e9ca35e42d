"""scripts/start as a person meets it: in a terminal, with the real server, bot and client; nothing is left behind."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import field, frozen

ROOT = Path(__file__).parents[2]
START = ROOT / "scripts/start"
PATIENCE = 40.0  # s; a loaded machine starts five Python processes
MARK = "PALAVER_TEST_OF_START"

pytestmark = pytest.mark.timeout(150)


def wait_until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


@frozen
class Terminal:
    """A terminal of its own (tmux) in which scripts/start runs; its processes are known by a variable they inherit."""

    folder: Path
    mark: str = field(factory=lambda: uuid.uuid4().hex)

    def start(self, *options: str) -> None:
        homes = {"HOME": self.folder, "XDG_CONFIG_HOME": self.folder, "XDG_STATE_HOME": self.folder, MARK: self.mark}
        variables = shlex.join(f"{name}={value}" for name, value in homes.items())
        line = f"env {variables} {shlex.join([str(START), *options])}; echo $? >{self.folder}/status; exec sleep 600"
        self.tmux("new-session", "-d", "-x", "120", "-y", "40", line)

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", str(self.folder / "tmux"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.screen(), lambda: f"no {text!r} on this screen:\n{self.screen()}")

    def status(self) -> int:
        file = self.folder / "status"
        wait_until(lambda: file.exists() and file.read_text(), self.screen)
        return int(file.read_text())

    def processes(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it ended meanwhile
                continue
        return found

    def pid_of(self, pattern: str) -> int:
        (pid,) = [pid for pid, command in self.processes().items() if re.search(pattern, command)]
        return pid

    def wait_empty(self) -> None:
        wait_until(lambda: not self.processes(), lambda: f"left behind: {self.processes()}")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.tmux("kill-server")
    for pid in terminal.processes():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def opened(terminal: Terminal) -> Terminal:
    terminal.start("--name", "Ada")
    terminal.wait_for("Ada")
    terminal.wait_for("Echo")  # the bot sits in the room, and the list of participants shows it
    return terminal


def test_one_person_sits_with_the_echo_bot(opened: Terminal) -> None:
    assert len(opened.processes()) >= 6  # the script, server, worker, bot, client and their engines
    opened.tmux("send-keys", "C-q")
    assert opened.status() == 0
    opened.wait_empty()


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)],
    ids=lambda value: str(value),
)
def test_a_signal_ends_everything(opened: Terminal, number: signal.Signals, status: int) -> None:
    os.kill(opened.pid_of(r"bash \S*scripts/start"), number)
    assert opened.status() == status
    opened.wait_empty()


def test_a_closed_terminal_ends_everything(opened: Terminal) -> None:
    opened.tmux("kill-server")
    opened.wait_empty()


def test_a_client_that_dies_ends_everything(opened: Terminal) -> None:
    os.kill(opened.pid_of(r"palaver http\S+ --room echo"), signal.SIGKILL)
    assert opened.status() == 128 + signal.SIGKILL
    opened.wait_empty()


def test_a_server_that_cannot_start_says_why(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        terminal.start("--port", str(taken.getsockname()[1]))
        terminal.wait_for("the server did not start")
        assert terminal.status() == 1
    terminal.wait_empty()


def test_without_a_terminal_it_says_what_to_do() -> None:
    tried = subprocess.run([START], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert tried.returncode == 1
    assert tried.stderr.count("\n") == 1
    assert "palaver call" in tried.stderr


@pytest.mark.parametrize("script", ["start", "test"])
def test_help_explains(script: str) -> None:
    shown = subprocess.run([ROOT / "scripts" / script, "--help"], capture_output=True, text=True, check=True)
    assert f"usage: scripts/{script}" in shown.stdout
