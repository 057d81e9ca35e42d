"""Paths as people write them."""

from __future__ import annotations

import errno
from pathlib import Path


def expanded(written: str | Path) -> Path:
    """A path with its home folder in the place of `~`.

    Raises:
        OSError: it begins with the home of somebody whom this machine does not know.
    """
    path = Path(written)
    try:
        return path.expanduser()
    except RuntimeError:
        raise OSError(errno.EINVAL, f"there is no home folder {path.parts[0]}", str(path)) from None
