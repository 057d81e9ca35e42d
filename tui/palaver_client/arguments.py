"""Command lines: what all programs that connect have in common."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from palaver_media.paths import expanded
from palaver_protocol.converter import read_name
from palaver_protocol.models import Name

from .url import parse_url

WRONG_USAGE: Final = 2  # exit code
FAILED: Final = 1  # exit code
DEFAULT_URL: Final = "http://127.0.0.1:8440"

SOURCES: Final = "device, a device's name or a part of it, file:PATH.wav, tone:HZ or null"
SINKS: Final = "device, a device's name or a part of it, file:PATH.wav or null"
KINDS: Final = ("device", "file", "tone", "pcm", "null")


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, for screen readers and logs."""

    def __init__(self, name: str, purpose: str, example: str) -> None:
        super().__init__(
            prog=name,
            description=purpose,
            epilog=f"example: {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Say it and exit."""
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(WRONG_USAGE)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments. Raises SystemExit, 0 for --help and 2 for wrong usage."""
        return self.parse_args(list(argv))


def url(written: str) -> str:
    """A server's address."""
    try:
        parse_url(written)
    except ValueError as why:
        raise argparse.ArgumentTypeError(str(why)) from None
    return written


def name(written: str) -> Name:
    """The name of a person or a room."""
    try:
        return read_name(written)
    except ValueError as why:
        raise argparse.ArgumentTypeError(f"{written[:40]!r}: {why}") from None


def profile(written: str) -> str:
    """The name of a profile: any text but none."""
    if not written.strip():
        raise argparse.ArgumentTypeError("a profile needs a name")
    return written


def seconds(written: str) -> float:
    """A time."""
    try:
        value = float(written)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{written!r} is no number of seconds above 0")
    return value


def source(written: str) -> str:
    """What to say into a call. What the sound engine finds only later, it tells."""
    kind, colon, value = written.partition(":")
    if not colon and kind.strip() and kind not in KINDS:
        return f"device:{written}"
    if kind == "file" and value and not os.path.isfile(_path(value)):
        raise argparse.ArgumentTypeError(f"there is no file {value!r}; give a WAV file")
    if kind == "tone" and not _is_frequency(value):
        raise argparse.ArgumentTypeError(f"{written!r} is no tone; write tone:HZ with 20 to 20000")
    if not (_is_spec(kind, colon, value) or kind == "tone"):
        raise argparse.ArgumentTypeError(f"{written!r} is no source; write {SOURCES}")
    return written


def sink(written: str) -> str:
    """Where to be heard."""
    kind, colon, value = written.partition(":")
    if not colon and kind.strip() and kind not in KINDS:
        return f"device:{written}"
    if kind == "file" and value and not os.path.isdir(_path(value).absolute().parent):
        raise argparse.ArgumentTypeError(f"there is no folder for {value!r}; give a path in one")
    if not _is_spec(kind, colon, value):
        raise argparse.ArgumentTypeError(f"{written!r} is no sink; write {SINKS}")
    return written


def _path(written: str) -> Path:
    try:
        return expanded(written)
    except OSError as why:
        raise argparse.ArgumentTypeError(str(why.strerror)) from None


def _is_spec(kind: str, colon: str, value: str) -> bool:
    match kind:
        case "device":
            return not colon or bool(value)
        case "file":
            return bool(value)
        case "null":
            return not colon
        case _:
            return False


def _is_frequency(value: str) -> bool:
    try:
        return 20 <= float(value) <= 20_000
    except ValueError:
        return False
