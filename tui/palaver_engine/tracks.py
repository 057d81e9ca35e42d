"""The files of a recording: one for each who speaks, ours, and one of all; each as long as all others."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, assert_never

import numpy as np
from attrs import define, field

from palaver_media.paths import expanded
from palaver_media.sound_settings import RecordingForm

from . import file_names
from .blocks import BLOCK, SILENCE, Samples
from .mixing import Mixing
from .ogg import OggFile
from .timeline import Moment
from .wav import WavFile

OURS: Final = ""  # the consumer that we are
MIX: Final = "mix"


class TrackFile(Protocol):
    """What writes a track; all raise OSError."""

    def write(self, samples: Samples) -> None:
        """Append samples."""

    def skip(self, count: int) -> None:
        """Append silence."""

    def close(self) -> None:
        """Finish."""

    def abandon(self) -> None:
        """Finish as it is, whatever fails."""


def make_folder(within: Path, name: str) -> Path:
    """A new folder of this name, or with a number.

    Raises:
        OSError: it cannot be made.
    """
    within = expanded(within)
    within.mkdir(parents=True, exist_ok=True)
    name = file_names.safe(name, "recording")
    taken: set[str] = set()
    while True:
        folder = within / file_names.unique(name, taken)
        try:
            folder.mkdir()
        except FileExistsError:
            taken.add(file_names.folded(folder.name))
        else:
            return folder


@define(eq=False)
class _Track:
    path: Path
    name: str
    file: TrackFile
    length: int = 0  # blocks

    def write(self, blocks: Sequence[Samples], at: int) -> None:
        """Append blocks at a time; what lies between is silence."""
        if all(block is SILENCE for block in blocks):
            return
        self.file.skip((at - self.length) * BLOCK)
        self.file.write(np.concatenate(blocks))
        self.length = at + len(blocks)

    def finish(self, length: int) -> None:
        """Make it as long as all others."""
        self.file.skip((length - self.length) * BLOCK)
        self.file.close()


@define(eq=False)
class Tracks:
    """All tracks in one folder. `names` says what to call whose; who is not in it is a voice."""

    folder: Path
    form: RecordingForm
    names: dict[str, str]
    _length: int = 0  # blocks
    _tracks: dict[str, _Track] = field(factory=dict)  # by consumer
    _mixing: Mixing = field(factory=Mixing)
    _mix: _Track = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with ours and the mix.

        Raises:
            OSError: they cannot be written.
        """
        self._mix = self._begin(MIX, MIX)
        self._tracks[OURS] = self._begin(self.names.get(OURS, ""), "me")

    def write(self, moments: Sequence[Moment]) -> None:
        """Append an even number of moments.

        Raises:
            OSError: the disk is full, or the folder has gone.
        """
        if not self._mix.path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.folder))
        at = self._length
        self._mix.write([self._mixing.mix({**each.voices, OURS: each.said}) for each in moments], at)
        self._tracks[OURS].write([each.said for each in moments], at)
        present = dict.fromkeys(name for each in moments for name in each.voices)
        for consumer in present:
            blocks = [each.voices.get(consumer, SILENCE) for each in moments]
            if consumer in self._tracks or any(block is not SILENCE for block in blocks):
                self._track(consumer, present).write(blocks, at)
        self._length += len(moments)

    def rename(self, consumer: str, name: str) -> None:
        """Call a voice's file so from now on; one that is there already moves, if the disk lets it."""
        self.names = {**self.names, consumer: name}
        track = self._tracks.get(consumer)
        if track is None or track.name == name:
            return
        path = self._path(name, "voice", besides=track)
        with contextlib.suppress(OSError):
            track.path.rename(path)
            track.path, track.name = path, name

    def close(self) -> None:
        """Finish all files.

        Raises:
            OSError: of the first that could not be; the others are finished all the same.
        """
        problem: OSError | None = None
        for track in (self._mix, *self._tracks.values()):
            try:
                track.finish(self._length)
            except OSError as why:
                problem = problem or why
                track.file.abandon()
        if problem is not None:
            raise problem

    def _track(self, consumer: str, present: Mapping[str, None]) -> _Track:
        """The track of a voice: one that left and comes again under another id goes on with his."""
        found = self._tracks.get(consumer)
        if found is not None:
            return found
        name = self.names.get(consumer, "")
        for other, track in self._tracks.items():
            if name and track.name == name and other != OURS and other not in present:
                self._tracks[consumer] = self._tracks.pop(other)
                return track
        track = self._tracks[consumer] = self._begin(name, "voice")
        return track

    def _begin(self, name: str, otherwise: str) -> _Track:
        path = self._path(name, otherwise)
        match self.form:
            case RecordingForm.OGG:
                return _Track(path, name, OggFile(path, "xb"))
            case RecordingForm.WAV:
                return _Track(path, name, WavFile(path, "xb"))
            case _:
                assert_never(self.form)

    def _path(self, name: str, otherwise: str, besides: _Track | None = None) -> Path:
        others = {each.path.stem for each in self._tracks.values() if each is not besides}
        taken = {file_names.folded(stem) for stem in (*others, MIX)} if hasattr(self, "_mix") else set[str]()
        return self.folder / f"{file_names.unique(file_names.safe(name, otherwise), taken)}.{self.form.value}"
