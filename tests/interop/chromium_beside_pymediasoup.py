"""Two strangers' clients in one call: web pages in Chromium, and pymediasoup on aiortc between them.

Run as `python chromium_beside_pymediasoup.py FOLDER` where 10.99.0.1 is an address of this machine. Everybody says a
tone of his own; the pages check what they hear. Prints one JSON object: what pymediasoup heard of whom, in Hz.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import trio

from interop.chromium import bundle, chromium, driving, web_server
from running import executing
from standing import standing

HERE = Path(__file__).parent


async def main(folder: Path) -> None:
    with web_server(bundle(folder)) as port:
        site = f"http://127.0.0.1:{port}"
        reachable = ("--host", "10.99.0.1", "--insecure", "--allow-origin", site)
        serve = ("-m", "palaver_server", "--port", "0", "--workers", "1", *reachable)
        with standing(*serve) as server, chromium(folder / "profile") as browser:
            print(json.dumps(await talk(browser, site, server)), flush=True)


async def talk(browser: str, site: str, server: str) -> dict[str, float]:
    """A page comes first, then pymediasoup, then another page; all check what they hear."""
    between = (sys.executable, str(HERE / "pymediasoup_peers.py"), server, "ben", "880", "2")
    async with driving(browser) as driven:
        ann, cy = await driven.open(site), await driven.open(site)
        await ann.call("enter", server, "ann", "interop")
        await ann.call("say", 440)
        async with executing(*between) as ben:
            await ann.call("tones", {"peer-ben": 880})
            await cy.call("enter", server, "cy", "interop")
            await cy.call("say", 1320)
            await ann.call("tones", {"peer-ben": 880, "cy": 1320})
            await cy.call("tones", {"ann": 440, "peer-ben": 880})
            heard: dict[str, float] = json.loads(await ben.wait_line(lambda line: line.startswith("{")))
    return heard


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
