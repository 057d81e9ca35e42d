"""The load of `scripts/bench signalling` finds its way through our server."""

import json
import sys
from pathlib import Path

import pytest
import trio

from running import serving

LOAD = Path(__file__).parents[2] / "scripts/benches/signalling/load.py"


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
