"""For tests: what a server's pages say of its media workers."""

import json
import urllib.request

import trio

PATIENCE = 20.0  # s for a worker to come up or go


async def read(url, path):
    """A page of the server's."""

    def fetch():
        with urllib.request.urlopen(url + path) as answer:
            return json.load(answer)

    return await trio.to_thread.run_sync(fetch)


async def workers(url):
    """The workers that are up."""
    return [each for each in (await read(url, "/api/stats"))["workers"] if each["isUp"]]


async def workers_once(url, condition):
    """The workers that are up, once this holds of them."""
    with trio.fail_after(PATIENCE):
        while not condition(found := await workers(url)):  # noqa: ASYNC110
            await trio.sleep(0.05)
    return found
