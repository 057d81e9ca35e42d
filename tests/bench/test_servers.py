"""The loads of `scripts/bench signalling`, `forward` and `rooms` find their way through our server and worker."""

import json
import os
import sys
from pathlib import Path

import pytest
import trio

from running import PYTHONPATH, serving

BENCHES = Path(__file__).parents[2] / "scripts/benches"
LOAD = BENCHES / "signalling/load.py"


@pytest.mark.trio
async def test_a_few_idle_connections_are_measured():
    async with serving() as (url, server):
        port, pid = url.rpartition(":")[2], str(server.process.pid)
        command = [sys.executable, str(LOAD), "--port", port, "--pid", pid, "--idle", "20", "--only", "idle"]
        result = await trio.run_process(command, capture_stdout=True)
        figures = json.loads(result.stdout)
        assert 0 <= figures["idle_kib"] < 200
        assert figures["join_s"] < 20
        assert figures["join_bytes_per_client"] > 100


@pytest.mark.trio
async def test_a_little_forwarding_is_measured():
    servers = ["--only", "limit", "palaver-python", "--shapes", "rooms", "--profiles", "gcm"]
    command = [sys.executable, str(BENCHES / "forward.py"), "--json", "--brief", "--seconds", "0.5", "--rounds", "1"]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    result = await trio.run_process([*command, *servers], capture_stdout=True, env=environment)
    found = json.loads(result.stdout)
    for figures in found["forward"]["rooms"]["gcm"].values():
        assert figures["sent"] == 500
        assert figures["lost"] < 0.5
        assert 0 < figures["us"] < 1000
        assert figures["residence_p50_ms"] > 0
    assert found["forward"]["rooms"]["gcm"].keys() | found["skipped"].keys() == {"limit", "palaver-python"}
    assert found["joins"]["palaver-python"]["joins_per_cpu_s"] > 10


@pytest.mark.trio
async def test_a_room_that_becomes_big_is_measured():
    command = [sys.executable, str(BENCHES / "rooms.py"), "--json", "--sizes", "2", "16", "--seconds", "1"]
    result = await trio.run_process(command, capture_stdout=True, env={**os.environ, "PYTHONPATH": PYTHONPATH})
    found = json.loads(result.stdout)["sizes"]
    two, sixteen = found[0], found[-1]
    assert (two["size"], sixteen["size"]) == (2, 16)
    assert two["packets_per_listener_and_s"] == pytest.approx(two["rate"], rel=0.1)
    assert sixteen["packets_per_listener_and_s"] < 4.5 * sixteen["rate"], "four speakers"
    for figures in found:
        assert figures["checked_percent"] > 10
        assert figures["worker_us_per_packet"] > 0
