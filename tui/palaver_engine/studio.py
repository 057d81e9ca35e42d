"""What all calls of an engine share: its threads, its certificate, and the way to the owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from attrs import define, field

from palaver_media.dtls import Certificate
from palaver_media.engine_messages import EngineReport

from .receiver import Receiver
from .ticker import Ticker

log = logging.getLogger(__name__)


@define(eq=False)
class Studio:
    """Made once, in the loop's thread; `report` belongs to it, `post` to any thread."""

    report: Callable[[EngineReport], None]
    loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    certificate: Certificate = field(factory=Certificate)
    receiver: Receiver = field(factory=Receiver)
    ticker: Ticker = field(factory=Ticker)
    _control: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(1, "control"))

    def post(self, report: EngineReport) -> None:
        """Report from another thread."""
        self.loop.call_soon_threadsafe(self.report, report)

    def control(self, work: Callable[[], None]) -> None:
        """Do something with devices or files in the control thread, after what was asked before."""
        self._control.submit(_guard, work)

    def close(self) -> None:
        """End the threads; what the control thread was asked to do is done first."""
        self._control.shutdown()
        self.ticker.close()
        self.receiver.close()


def _guard(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("the control thread failed at something")
