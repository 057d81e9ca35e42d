"""Builds the C core (`fanout.c`) where there is a compiler.

The installation does it; by hand: ``python -m palaver_worker.fanout_build``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import cffi

HERE: Final = Path(__file__).parent
NAME: Final = "_fanout"
DECLARATIONS: Final = """
struct path { void *keys; unsigned char destination[28]; int destination_size; };
struct leg { struct path *path; uint32_t ssrc, wanted; unsigned char mid[32]; int mid_size;
             int64_t offset, first, highest; uint64_t packets, octets; };
struct mmsghdr;
struct block { struct mmsghdr *headers; int slots, used, failures;
               int (*protect)(void *keys, void *packet, int *size); };
int forward(struct block *block, struct leg **legs, int at, int count, int first, int second, int64_t index,
            uint32_t timestamp, const unsigned char *elements, int elements_size, const unsigned char *csrcs,
            int csrcs_size, const unsigned char *body, int body_size, int padding);
"""


def build() -> Path:
    """Compile the core, and put it beside this file; where it is.

    Raises:
        Exception: there is no compiler, no Python headers, or another system than Linux: whatever the compiler says.
    """
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    ffi.set_source(NAME, (HERE / "fanout.c").read_text(), extra_compile_args=["-O2"], py_limited_api=True)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(ffi.compile(tmpdir=folder))
        target = HERE / built.name
        fresh = target.with_suffix(".new")
        shutil.copyfile(built, fresh)
        fresh.replace(target)  # whoever has the old one loaded keeps it
    return target


if __name__ == "__main__":
    print(build())
    sys.exit(0)
