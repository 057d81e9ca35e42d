"""Media over IPv4 and IPv6: where the server listens, what it announces, and that both are heard."""

import socket

import pytest

from media.crowd import crowd
from running import serving
from world import visiting

pytestmark = pytest.mark.trio

EVERYWHERE = ("--host", "::", "--insecure")


async def candidates(url):
    """What a client is told of where to send its media."""
    async with visiting(url, "ann") as ann:
        room = (await ann.does("createRoom", roomType="group"))["room"]
        params = (await ann.does("createTransport", roomId=room["roomId"], direction="send"))["params"]
        return params["iceCandidates"]


def at(host, url):
    """The same server, reached in another way."""
    return f"http://{host}:{url.rpartition(':')[2]}"


async def test_over_ipv6_alone():
    async with serving("--host", "::1") as (url, _), crowd(url, rooms=1, people=2) as everybody:
        assert {each.legs["send"].address[0] for each in everybody.people} == {"::1"}


async def test_one_server_for_both():
    async with serving(*EVERYWHERE) as (url, _):
        for host, ip in (("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")):
            async with crowd(at(host, url), rooms=1, people=2) as everybody:
                assert {each.legs["send"].address[0] for each in everybody.people} == {ip}


async def test_people_with_either_hear_each_other():
    async with (
        serving(*EVERYWHERE) as (url, _),
        crowd(at("127.0.0.1", url), rooms=1, people=1) as old,
        crowd(at("[::1]", url), rooms=1, people=1, name="q") as new,
    ):
        (ann,), (bob,) = old.people, new.people
        await old.until(lambda: ann.heard[bob.name] and bob.heard[ann.name])


async def test_several_announced_addresses_are_candidates_the_first_one_preferred():
    async with serving(*EVERYWHERE, "--announce", "::1", "--announce", "127.0.0.1") as (url, _):
        first, second = await candidates(at("[::1]", url))
        assert (first["ip"], first["address"], second["ip"], second["address"]) == ("::1", "::1", *["127.0.0.1"] * 2)
        assert first["port"] == second["port"]
        assert first["foundation"] != second["foundation"]
        assert first["priority"] > second["priority"]
        for family in (socket.AF_INET, socket.AF_INET6):
            async with crowd(at("127.0.0.1", url), rooms=1, people=2, family=family) as everybody:
                assert {each.legs["receive"].socket.family for each in everybody.people} == {family}
