"""What mends losses best at one bitrate: in-band FEC, or copies of earlier frames beside or apart from each other.

Speech by espeak-ng through libopus; a loss takes a packet with all that is in it, and a frame is played from whichever
packet brings it, else from the next packet's in-band copy, else it is concealed. PESQ-WB and STOI of what is heard.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.signal
from attrs import asdict, frozen
from pesq import pesq
from pystoi import stoi

from palaver_engine.blocks import BLOCK, RATE, Samples
from palaver_engine.opus import Application, Coding, Decoder, Encoder
from speech import ANN, BEN, say_sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARM_UP: Final = 6.5  # ms, the encoder's look-ahead
PESQ_RATE: Final = 16_000
TUNED_ON: Final = (("en-gb", ANN), ("en-us", BEN))
REPORTED_ON: Final = (("en-gb-scotland", BEN), ("en-gb-x-rp", ANN))


@frozen
class Way:
    """A way to encode: `offsets` are the frames before, of which each packet brings a copy; `loss` 0 is without FEC."""

    bitrate: int
    loss: int
    offsets: tuple[int, ...] = ()
    frame_ms: int = 20

    def __str__(self) -> str:
        copies = "".join(f" -{each}" for each in self.offsets)
        return f"{self.frame_ms} ms {self.bitrate // 1000}k{' FEC ' + str(self.loss) if self.loss else ''}{copies}"


def losses(share: float, mean_burst: float, count: int, seed: int) -> NDArray[np.bool_]:
    """Which packets are lost: by a chain of two states (Gilbert), `mean_burst` 1 is by chance alone."""
    random = np.random.default_rng(seed)
    if mean_burst <= 1:
        return random.random(count) < share
    leave = 1 / mean_burst
    enter = share * leave / (1 - share)
    lost, is_bad = np.zeros(count, bool), False
    for at, chance in enumerate(random.random(count)):
        is_bad = chance >= leave if is_bad else chance < enter
        lost[at] = is_bad
    return lost


def encode(said: Samples, way: Way) -> list[bytes]:
    """A packet for each frame."""
    size = BLOCK * way.frame_ms // 10
    application = Application.AUDIO if way.frame_ms == 10 else Application.VOIP
    encoder = Encoder(Coding(way.bitrate, way.loss, complexity=9), application)
    return [encoder.encode(said[at : at + size]) for at in range(0, len(said) - size + 1, size)]


def play(packets: list[bytes], lost: NDArray[np.bool_], way: Way) -> Samples:
    """What a listener hears who waits for all copies."""
    decoder, size = Decoder(), BLOCK * way.frame_ms // 10
    out: list[Samples] = []
    for at, packet in enumerate(packets):
        carriers = [at + offset for offset in (0, *way.offsets) if at + offset < len(packets)]
        if any(not lost[each] for each in carriers):
            out.append(decoder.decode(packet))
        elif at + 1 < len(packets) and not lost[at + 1] and way.loss:
            out.append(decoder.recover(packets[at + 1], size))
        else:
            out.append(decoder.conceal(size))
    return np.concatenate(out)


def score(said: Samples, heard: Samples) -> tuple[float, float]:
    """PESQ-WB and STOI."""
    late = round(WARM_UP * RATE / 1000)
    count = min(len(said), len(heard)) - late
    a, b = said[:count].astype(np.float64), heard[late : late + count].astype(np.float64)
    a16, b16 = (scipy.signal.resample_poly(each, PESQ_RATE, RATE).astype(np.int16) for each in (a, b))
    return float(pesq(PESQ_RATE, a16, b16, "wb")), float(stoi(a, b, RATE))


def wire_rate(packets: list[bytes], way: Way) -> float:
    """Bit/s of Opus and RFC 2198 with RTP (24 bytes with extensions), SRTP (10) and UDP/IP (28)."""
    red = 4 * len(way.offsets) + 1 if way.offsets else 0
    return (sum(map(len, packets)) * (1 + len(way.offsets)) / len(packets) + red + 62) * 8 * 1000 / way.frame_ms


PATHS: Final = {"clean": (0.0, 1), "5%": (0.05, 1), "10%": (0.1, 1), "20%": (0.2, 1), "10% b3": (0.1, 3)}
WAYS: Final = (
    Way(48_000, 0), Way(48_000, 10), Way(24_000, 0, (1,)), Way(24_000, 0, (2,)), Way(24_000, 0, (4,)),
    Way(24_000, 10, (2,)), Way(24_000, 10, (4,)), Way(16_000, 0, (1, 2)), Way(16_000, 0, (3, 6)),
    Way(48_000, 0, (), 10), Way(48_000, 10, (), 10), Way(24_000, 0, (1,), 10), Way(24_000, 0, (3,), 10),
    Way(24_000, 0, (8,), 10),
)  # fmt: skip


@frozen
class Result:
    """How one way fares on each path: PESQ-WB and STOI. `rate` is in kb/s on the wire, headers and all."""

    way: str
    rate: float
    scores: dict[str, tuple[float, float]]

    def __str__(self) -> str:
        cells = "".join(f"{quality:.2f} {clear:.3f}".ljust(13) for quality, clear in self.scores.values())
        return f"{self.way:22}{self.rate:4.0f}  {cells}"


def measure(speakers: tuple[tuple[str, tuple[str, ...]], ...], seeds: range) -> Iterator[Result]:
    """One way after the other."""
    with tempfile.TemporaryDirectory() as folder:
        speeches = [say_sentences(text, voice, Path(folder)).samples for voice, text in speakers]
    for way in WAYS:
        encoded = [encode(said, way) for said in speeches]
        scores: dict[str, tuple[float, float]] = {}
        for name, (share, burst) in PATHS.items():
            results = [
                score(said, play(packets, losses(share, burst, len(packets), seed), way))
                for said, packets in zip(speeches, encoded, strict=True)
                for seed in (seeds if share else [0])
            ]
            quality, clear = np.mean(results, axis=0)
            scores[name] = round(float(quality), 2), round(float(clear), 3)
        rate = np.mean([wire_rate(packets, way) for packets in encoded])
        yield Result(str(way), round(float(rate) / 1000, 1), scores)


def main() -> None:
    """Print the table, or one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true", help="on the speakers and seeds that parameters are chosen on")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    results = measure(TUNED_ON, range(3)) if args.tune else measure(REPORTED_ON, range(100, 104))
    if args.json:
        print(json.dumps({"ways": [asdict(each) for each in results]}))
        return
    print("way".ljust(22) + "kb/s  " + "".join(name.ljust(13) for name in PATHS))
    for each in results:
        print(each, flush=True)


if __name__ == "__main__":
    main()
