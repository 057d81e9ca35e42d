"""The server as a process: how it starts, what it says when it cannot, and how it ends."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest
import trio

from palaver_server.config import parse
from running import running, serving
from world import children_of, visiting

pytestmark = pytest.mark.trio

READY = re.compile(r"palaver: listening on http://127\.0\.0\.1:(\d+), media udp 127\.0\.0\.1:(\d+), core c")


async def until(condition, patience):
    """Wait for a condition of the outer world, which no event tells."""
    with trio.fail_after(patience):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.02)


def is_running(pid):
    """Whether there is such a process, other than as a corpse that its parent has not buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def ended(pids):
    """A condition for `until`."""
    return lambda: not any(is_running(pid) for pid in pids)


async def request(url, head, body=b""):
    """One HTTP exchange, until the server closes; the raw answer."""
    host, port = url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(f"{head}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode() + body)
        return b"".join([data async for data in stream])


async def assert_fails(*arguments, code, says, env=None):
    """It exits with this code and one line on stderr that says these things."""
    async with running(*arguments, module="palaver_server", env=None if env is None else {**os.environ, **env}) as it:
        assert await it.wait() == code
        await until(lambda: it.errors, 2)
        (line,) = it.errors
        assert all(what in line for what in says), line
        assert not it.lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_is_and_ends_in_order(number):
    async with running("--port", "0", "--workers", "2", module="palaver_server") as server:
        ready = READY.fullmatch(await server.wait_line(lambda line: True))
        port, media = int(ready[1]), int(ready[2])
        assert port > 0
        assert media > 0
        answer = await request(f"http://127.0.0.1:{port}", "GET /healthz HTTP/1.1")
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'{"status":"ok"' in answer
        await until(lambda: len(children_of(server.process.pid)) == 3, 5)  # and a spare
        workers = children_of(server.process.pid)
        async with visiting(f"http://127.0.0.1:{port}", "ann") as ann:
            await ann.does("createRoom", roomType="group")
            assert await server.end(number, patience=3) == 0
            assert ended(workers)()
            assert ann.heard("callEnded")[0]["reason"] == "shutdown"
            await ann.left.wait()
            assert ann.closed == 1001
        assert server.errors == []
        assert len(server.lines) == 1


async def test_a_killed_server_leaves_no_worker():
    async with serving() as (_, server):
        workers = children_of(server.process.pid)
        assert workers
        await server.end(signal.SIGKILL)
        await until(ended(workers), 2)


async def test_a_port_in_use():
    async with serving() as (url, _):
        port = url.rpartition(":")[2]
        says = (f"cannot listen on 127.0.0.1 port {port}", "--port")
        await assert_fails("--port", port, "--media-port", "0", "--workers", "1", code=1, says=says)


async def test_a_media_port_in_use():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        says = (f"cannot use UDP port {port}", "--media-port")
        await assert_fails("--port", "0", "--media-port", port, "--workers", "1", code=1, says=says)


async def test_no_network_without_insecure():
    await assert_fails("--host", "0.0.0.0", "--port", "0", code=2, says=("0.0.0.0", "--insecure", "--host 127.0.0.1"))


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "x" * 300])
async def test_a_host_that_is_not_ours(host):
    await assert_fails("--host", host, "--insecure", "--port", "0", code=1, says=("cannot listen on", host))


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PALAVER_PORT", "abc", "whole number"),
        ("PALAVER_PORT", "70000", "0 to 65535"),
        ("PALAVER_WORKERS", "0", "workers"),
        ("PALAVER_INSECURE", "maybe", "yes or no"),
        ("PALAVER_ANNOUNCE", "here", "here"),
        ("PALAVER_ANNOUNCE", "192.0.2.7,here", "here"),
        ("PALAVER_SPREAD_ABOVE", "0", "consumers"),
        ("PALAVER_SPREAD_ABOVE", "off", "whole number"),
        ("PALAVER_DRAIN", "soon", "seconds"),
        ("PALAVER_DRAIN", "-1", "seconds"),
    ],
)
async def test_a_wrong_variable(variable, value, says):
    name = variable.removeprefix("PALAVER_").lower().replace("_", "-")
    await assert_fails(code=2, says=("environment", name, value, says), env={variable: value})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prot = 8440", "unknown: prot"),
        ("port = 'x'", "port"),
        ("port = true", "port"),
        ("port = ", "Invalid value"),
        ("allow-origin = 5", "list"),
        ("host = []", "host"),
        ("\x00", "config.toml"),
    ],
)
async def test_a_wrong_file(tmp_path, content, says):
    path = tmp_path / "config.toml"
    path.write_text(content)
    await assert_fails("--config", str(path), code=2, says=(str(path), says))


async def test_a_file_that_is_not_there(tmp_path):
    await assert_fails("--config", str(tmp_path / "none.toml"), code=2, says=("none.toml", "No such file"))


async def test_an_unknown_option():
    async with running("--prot", "1", module="palaver_server") as it:
        assert await it.wait() == 2
        await until(lambda: any("--prot" in line for line in it.errors), 2)


async def test_help():
    async with running("--help", module="palaver_server") as it:
        assert await it.wait() == 0
        await until(lambda: any("Example:" in line for line in it.lines), 2)
        for option in (
            "--host",
            "--port",
            "--media-port",
            "--announce",
            "--workers",
            "--spread-above",
            "--insecure",
            "--drain",
            "--config",
        ):
            assert any(option in line for line in it.lines)


@pytest.mark.parametrize("core", ["c", "python"])
async def test_it_says_which_core_forwards(core):
    async with running("--port", "0", module="palaver_server", env={**os.environ, "PALAVER_FANOUT": core}) as server:
        assert (await server.wait_line(lambda line: True)).endswith(f", core {core}")


async def test_the_command_line_wins_over_variables_and_they_over_the_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('port = 1\nmedia-port = 1\nworkers = 2\nhost = "127.0.0.2"\nallow-origin = ["http://file"]\n')
    env = {**os.environ, "PALAVER_CONFIG": str(path), "PALAVER_PORT": "2", "PALAVER_MEDIA_PORT": "0"}
    async with running("--port", "0", module="palaver_server", env=env) as server:
        line = await server.wait_line(lambda line: True)
        ready = r"palaver: listening on http://127\.0\.0\.2:\d{2,5}, media udp 127\.0\.0\.2:\d{2,5}, core c"
        assert re.fullmatch(ready, line)
        await until(lambda: len(children_of(server.process.pid)) == 3, 5)
        origin = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nUpgrade: websocket\r\nOrigin: "
        url = line.split()[3].rstrip(",")
        assert b" 403 " in (await request(url, origin + "http://other")).split(b"\r\n")[0]
        assert b" 403 " not in (await request(url, origin + "http://file")).split(b"\r\n")[0]


async def test_beyond_loopback_everybody_is_warned():
    async with running(
        "--host", "0.0.0.0", "--insecure", "--port", "0", "--workers", "1", module="palaver_server"
    ) as it:
        line = await it.wait_line(lambda line: True)
        port = re.search(r":(\d+),", line)[1]
        async with visiting(f"http://127.0.0.1:{port}", "ann") as ann:
            warning = await ann.expect("serverNotice")
            assert warning["code"] == "insecure"
            assert warning["level"] == "warning"
            room = (await ann.does("createRoom", roomType="group"))["room"]
            params = (await ann.does("createTransport", roomId=room["roomId"], direction="send"))["params"]
            assert params["iceCandidates"][0]["ip"] == "127.0.0.1"  # where this client reached it


async def test_the_announced_address_is_what_clients_are_told():
    async with serving("--announce", "198.51.100.4") as (url, _), visiting(url, "ann") as ann:
        room = (await ann.does("createRoom", roomType="group"))["room"]
        params = (await ann.does("createTransport", roomId=room["roomId"], direction="send"))["params"]
        assert params["iceCandidates"][0]["ip"] == params["iceCandidates"][0]["address"] == "198.51.100.4"


async def test_several_addresses_to_announce_in_every_form(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('announce = ["2001:db8::7", "192.0.2.7"]')
    for arguments, environment in (
        (("--announce", "2001:db8::7", "--announce", "192.0.2.7"), {}),
        (("--announce", "2001:DB8::7, 192.0.2.7"), {}),
        ((), {"PALAVER_ANNOUNCE": "2001:db8::7,192.0.2.7"}),
        (("--config", str(path)), {}),
    ):
        assert parse(arguments, environment).announce == ("2001:db8::7", "192.0.2.7")


@pytest.mark.parametrize("host", ["localhost", "::1"])
async def test_other_names_of_this_machine(host):
    async with running("--host", host, "--port", "0", "--workers", "1", module="palaver_server") as it:
        line = await it.wait_line(lambda line: True)
        assert (f"[{host}]" if ":" in host else host) in line
