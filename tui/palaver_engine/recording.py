"""Recording a call: the sound threads hand over what is heard and said, and a thread of its own encodes and writes it.

Nothing waits for the disk. What it is too slow for is left out, as silence of the same length, and told in the end.
"""

from __future__ import annotations

import errno
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TypeAlias

from attrs import frozen

from palaver_media.engine_messages import EngineReport, NameTrack, RecordingStarted, RecordingStopped, StartRecording

from .blocks import BLOCK, RATE, SILENCE, Samples
from .timeline import Heard, Moment, Said, Timeline
from .tracks import Tracks, make_folder

CHUNK: Final = 10  # blocks that are written at once
WAITING: Final = 3000  # events between the sound threads and ours: 15 s
_STAMP: Final = "%Y-%m-%d %H-%M-%S"
_REMEDIES: Final = {
    errno.ENOSPC: "free some space, or record to another disk",
    errno.EDQUOT: "free some space, or record to another disk",
    errno.EFBIG: "record to a disk that takes larger files, or begin a new recording now and then",
    errno.ENOENT: "leave the folder where it is while it is recorded into, and begin anew",
}
_REMEDY: Final = "give a folder where you may write"

log = logging.getLogger(__name__)


@frozen
class _Stop:
    """Write what there is, and end."""


_Event: TypeAlias = Heard | Said | NameTrack | _Stop


class Recording:
    """`heard` and `said` belong to the sound threads, `name` and `stop` to the loop.

    The voices are recorded as they came and ours as it was sent, whatever one has turned up or down for oneself.
    """

    def __init__(self, command: StartRecording, report: Callable[[EngineReport], None]) -> None:
        """Start; `report` may be called from any thread."""
        self._command = command
        self._report = report
        self._events: deque[_Event] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._numbers = itertools.count()
        self._is_over = False
        self._timeline = Timeline()
        self._moments: list[Moment] = []  # less than a chunk
        self._dropped = 0  # blocks of what is heard
        # no daemon: an engine that ends in order makes its files whole
        threading.Thread(target=self._run, name="recording").start()

    def heard(self, voices: Mapping[str, Samples]) -> None:
        """Record 10 ms of all voices."""
        number = next(self._numbers)
        if self._is_over:
            return
        if len(self._events) > WAITING:
            self._dropped += 1
            return
        self._events.append(Heard(time.monotonic(), number, voices))
        if number % CHUNK == 0:
            self._wake.put(None)

    def said(self, block: Samples | None) -> None:
        """Record 10 ms of ours; None is nothing said."""
        if not self._is_over and len(self._events) <= WAITING:
            self._events.append(Said(time.monotonic(), block))

    def name(self, command: NameTrack) -> None:
        """Call a voice's file so."""
        self._events.append(command)
        self._wake.put(None)

    def stop(self) -> None:
        """Record no more; the files are made whole soon, and that is reported."""
        self._events.append(_Stop())
        self._wake.put(None)

    def _run(self) -> None:
        folder, problem, remedy, has_begun = self._command.folder, "", "", False
        try:
            tracks = self._begin()
            folder, has_begun = str(tracks.folder), True
            self._tell(RecordingStarted(self._command.call, folder))
            self._record(tracks)
        except OSError as why:
            problem, remedy = _explain(why, has_begun=has_begun)
        except Exception as why:
            log.exception("a recording fails")
            problem, remedy = f"it failed ({type(why).__name__})", "begin a new one, in the other form"
        self._is_over = True
        self._events.clear()
        if not problem and self._dropped:
            seconds = self._dropped * BLOCK / RATE
            problem, remedy = f"the disk was too slow: {seconds:.1f} s are silent", "record to a faster disk"
        self._tell(RecordingStopped(self._command.call, folder, problem, remedy))

    def _begin(self) -> Tracks:
        command = self._command
        title = f"{time.strftime(_STAMP)} {command.title}".strip()
        folder = make_folder(Path(command.folder), title)
        return Tracks(folder, command.form, dict(command.names))

    def _record(self, tracks: Tracks) -> None:
        try:
            while self._take(tracks):
                self._wake.get()
            self._write(tracks, is_over=True)
        finally:
            tracks.close()

    def _take(self, tracks: Tracks) -> bool:
        """Do what has come; the answer is whether to go on."""
        while self._events:
            match self._events.popleft():
                case _Stop():
                    return False
                case NameTrack(consumer=consumer, name=name):
                    tracks.rename(consumer, name)
                case Heard() | Said() as event:
                    self._timeline.put(event)
                    self._write(tracks)
        return True

    def _write(self, tracks: Tracks, *, is_over: bool = False) -> None:
        """Write what makes whole chunks, and in the end the rest, with silence behind it."""
        for moment in self._timeline.moments(is_over=is_over):
            self._moments.append(moment)
            if len(self._moments) == CHUNK:
                moments, self._moments = self._moments, []
                tracks.write(moments)
        if is_over and self._moments:
            tracks.write(self._moments + [Moment(SILENCE, {})] * (CHUNK - len(self._moments)))

    def _tell(self, report: EngineReport) -> None:
        try:
            self._report(report)
        except RuntimeError:  # the loop has ended: nobody is there to be told
            log.debug("untold: %s", report)


def _explain(why: OSError, *, has_begun: bool) -> tuple[str, str]:
    """What is wrong, and what would mend it."""
    reason = why.strerror or str(why)
    where = f"{why.filename}: " if why.filename else ""
    is_nowhere = why.errno == errno.ENOENT and not has_begun
    return f"{where}{reason.lower()}", _REMEDY if is_nowhere else _REMEDIES.get(why.errno or 0, _REMEDY)
