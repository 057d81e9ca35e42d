"""npm's socket.io-client, unmodified, over every event of the table; and it comes back when the server does."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import frozen

from interop.nodejs import node
from palaver_protocol.converter import read_ack, read_notice
from palaver_protocol.notices import NOTICES
from palaver_protocol.requests import REQUESTS
from running import running, serving

TRANSPORTS = ("defaults", "websocket")


@frozen
class Run:
    """How `every_event.js` went, over one choice of transports."""

    exit_code: int
    said: list[dict[str, Any]]
    errors: str

    def payloads(self, kind: str, event: str) -> list[Any]:
        return [line["payload"] for line in self.said if line.get(kind) == event]


async def run_every_event(transports: str, folder: Path, into: dict[str, Run]) -> None:
    env = {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder)}
    speaking = ("--room", "voices", "--name", "Vox", "--input", "tone:440", "--output", "null", "--json")
    async with (
        serving("--ring-timeout", "2", env=env) as (url, _),
        node("every_event.js", url, transports) as people,
    ):
        await people.wait_line(said("waiting"))
        async with running("call", url, *speaking, env=env):
            code = await people.wait(50)
        into[transports] = Run(code, [json.loads(line) for line in people.lines], "\n".join(people.errors))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Both at once, each with a server of its own: what takes the time is waiting for deadlines."""
    runs: dict[str, Run] = {}

    async def run_all() -> None:
        async with trio.open_nursery() as nursery:
            for transports in TRANSPORTS:
                nursery.start_soon(run_every_event, transports, tmp_path_factory.mktemp(transports), runs)

    trio.run(run_all)
    return runs


@pytest.fixture(params=TRANSPORTS)
def run(runs: dict[str, Run], request: pytest.FixtureRequest) -> Run:
    return runs[request.param]


def test_all_went_as_it_should(run: Run) -> None:
    assert run.exit_code == 0, run.errors


@pytest.mark.parametrize("event", REQUESTS)
def test_every_request_was_answered(run: Run, event: str) -> None:
    answers = run.payloads("ack", event)
    assert answers, f"every_event.js does not ask {event}"
    for answer in answers:
        read_ack(answer, REQUESTS[event].ack)


@pytest.mark.parametrize("event", NOTICES)
def test_every_notice_was_heard(run: Run, event: str) -> None:
    told = run.payloads("notice", event)
    assert told, f"every_event.js does not bring about {event}"
    for payload in told:
        read_notice(event, payload)


def test_nothing_was_told_that_the_table_does_not_know(run: Run) -> None:
    assert {line["notice"] for line in run.said if "notice" in line} <= set(NOTICES)


@pytest.mark.trio
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_a_client_comes_back_by_itself_when_the_server_does(transports: str, tmp_path: Path) -> None:
    port, env = str(free_port()), {"XDG_STATE_HOME": str(tmp_path)}
    async with node("comes_back.js", f"http://127.0.0.1:{port}", transports) as ann:
        async with serving("--port", port, env=env) as (_, server):
            await ann.wait_line(said("seated"))
            server.process.kill()
            await ann.wait_line(said("lost"))
        seen = len(ann.lines)
        async with serving("--port", port, env=env):
            assert json.loads(await ann.wait_line(said("seated"), after=seen))["seated"] == ["Ann"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def said(key: str) -> Callable[[str], bool]:
    return lambda line: key in json.loads(line)
