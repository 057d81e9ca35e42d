"""Builds the core in C (`SOURCES`, in this order) where there is a compiler.

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
SOURCES: Final = ("fanout.c", "track.c", "check.c", "client.c", "pump.c")
DECLARATIONS: Final = """
#define OPUS ...
#define RED ...
#define COPIES ...
#define RTP_HEADER ...
#define SLOT ...
#define TRAILER ...
#define FARTHEST ...
#define BATCH ...
#define KEPT ...
#define SEEN ...
#define MID ...
#define SEND_TIME ...
#define AUDIO_LEVEL ...

struct path { void *keys; unsigned char destination[28]; int destination_size; };
struct leg { struct path *path; uint32_t ssrc, wanted, shift; int is_marked, takes_red;
             unsigned char mid[32]; int mid_size; int64_t offset, first, highest; uint64_t packets, octets; };
struct mmsghdr;
struct block { struct mmsghdr *headers; int slots, used, failures;
               int (*protect)(void *keys, void *packet, int *size); };
int forward(struct block *block, struct leg **legs, int at, int count, int first, int second, int64_t index,
            uint32_t timestamp, const unsigned char *elements, int elements_size, const unsigned char *csrcs,
            int csrcs_size, const unsigned char *body, int body_size, int padding);

struct track { uint32_t ssrc; int number; unsigned char payload_types[128], extensions[256];
               struct leg **legs; int count; double clock_rate; int64_t first, highest, received, octets;
               double jitter, transit; int told, level, run, is_speaking, is_paused; double loudness, heard; ...; };
struct credentials { ...; };
struct door { unsigned char name[28]; struct client *client; double checked; ...; };
struct client { void *keys; struct credentials credentials; struct door *selected; double per_check;
                uint32_t *seen; int next_seen; struct track **tracks; int count;
                double per_packet, per_byte, due; };
struct pump { int udp, others, name_size; uint32_t seed; struct mmsghdr *incoming; struct block *outgoing;
              int (*unprotect)(void *keys, void *packet, int *size); int received; int leftovers[128], left;
              int onsets[128], begun; int loud, onset; double smoothing; int64_t broken, forged, excess, refused;
              int refusal; ...; };
struct track *new_track(void);
void forget(struct track *track);
int note_check(struct client *client, uint32_t transaction);
int set_credentials(struct credentials *credentials, const unsigned char *ufrag, int ufrag_size,
                    const unsigned char *key, int key_size);
void admit(struct pump *pump, struct door *door);
void dismiss(struct pump *pump, struct door *door);
int receive(struct pump *pump);
void process(struct pump *pump, double now);
int resend(struct pump *pump, struct track *track, int64_t index, struct leg **legs, int count);
int64_t timestamp_of(struct track *track, int64_t index);
int wait_and_forward(struct pump *pump, double deadline);
"""


def build() -> Path:
    """Compile the core, and put it beside this file; where it is.

    Raises:
        Exception: there is no compiler, no Python headers, or another system than Linux: whatever the compiler says.
    """
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    source = "".join((HERE / each).read_text() for each in SOURCES)
    ffi.set_source(NAME, source, extra_compile_args=["-O2", "-fvisibility=hidden"], py_limited_api=True)
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
