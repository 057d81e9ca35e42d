"""Sound of a call over bad networks and in rooms with an echo, beside baresip: delay, PESQ, STOI, CPU."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import trio

from benches.sound_rig.products import Product, Unavailable, baresip, palaver
from benches.sound_rig.scenarios import ALL, CROWD, ROOMS, USUAL, Round, measure
from benches.sound_rig.table import table
from benches.sound_rig.voices import REPORT, TUNE
from sound_server import virtual_sound

PEER: Final = "baresip"
HELP: Final = """\
Two real programs call each other over a real server, on virtual PulseAudio devices, and talk in turn. Alice's network
goes through a relay that loses, delays and spreads her packets, both ways, by a seed; Bob's is whole. What is said and
what is heard are recorded at the devices. For each utterance: the delay from mouth to ear (ms, by correlation), PESQ-WB
and STOI; the median counts. CPU is that of the process that does the sound, % of a core, the mean of both sides; played
is the share of arrived packets that did not come too late to be heard, as the program says.

scenarios:
  clean         nothing is done to the network
  jitter-loss   20 ms +- 10 ms, and 10 % lost at random
  loss, burst   10 % lost, each by itself or in bursts of 3 in the mean
  stall         500 ms of nothing, then everything at once; how soon the delay is back within 20 ms of what it was
  echo-...      Bob's loudspeaker is heard by his microphone, 10 dB quieter, in a room with some reverberation:
                near (as soon as the devices can), middle (120 ms later), far (300 ms later, drifting by 50 ppm), drift.
                Alice talks for ten seconds, then they take turns. How much less (dB) of it she hears than went into
                Bob's microphone, 3 to 5 s after she began and from 5 s on, and how well Bob is understood.
  crowd         eight people who all talk at once, two of them with devices: CPU of these two

Choose parameters by --tune (other voices, sentences and seeds), and report what comes out without. To try settings, add
a product with options of `palaver call`, or with what is typed there; both may come together, with ; between them:

  scripts/bench sound --tune --with 'NAME=--option value; /command' --scenarios clean burst --rounds 3
  scripts/bench sound --only palaver NAME --with 'NAME=--option value'

A call takes about half a minute, all of it about six. The machine should have nothing else to do: look at the
relay's own lateness (p99) before you believe a figure.
"""


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is asked for; the products take turns."""
    split = TUNE if options.tune else REPORT
    found: dict[str, Any] = {"machine": machine(), "voices": "tuning" if options.tune else "reporting", "calls": []}
    for scenario in options.scenarios:
        for number in range(options.rounds):
            seed = (split.seed if options.seed is None else options.seed) + number
            for name, product in options.products.items():
                if name == PEER and (scenario == CROWD or (scenario in ROOMS and PEER not in options.only)):
                    continue  # it calls one other, and does nothing about an echo
                print(f"{scenario}, {name}, seed {seed}", file=sys.stderr)
                figures = await one_call(product, scenario, split, seed, options.turns)
                found["calls"].append({"scenario": scenario, "product": name, "seed": seed, **figures})
    return found


async def one_call(product: Product, scenario: str, split: Any, seed: int, turns: int) -> dict[str, Any]:
    """One call, on a sound server of its own; what went wrong is a figure, too."""
    with tempfile.TemporaryDirectory() as folder, virtual_sound(Path(folder)) as sound:
        try:
            figures = await measure(product, scenario, Round(split, seed, sound, turns))
        except* Unavailable as missing:
            figures = {"problem": f"left out: {_first(missing)}"}
        except* (AssertionError, RuntimeError, ValueError) as failed:
            figures = {"problem": repr(_first(failed))}
        return figures


def _first(failed: BaseExceptionGroup[Any]) -> BaseException:
    """What went wrong, out of the nurseries around it."""
    error: BaseException = failed
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def machine() -> dict[str, str]:
    """On what."""
    try:
        shown = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", PEER], capture_output=True, text=True, check=False
        )
        peer = shown.stdout
    except OSError:
        peer = ""
    return {
        "python": platform.python_version(),
        "pesq": importlib.metadata.version("pesq"),
        PEER: peer or "not there",
        "cores": str(os.cpu_count()),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench sound",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables, with every utterance")
    parser.add_argument("--tune", action="store_true", help="voices, sentences and seeds to choose parameters by")
    parser.add_argument(
        "--scenarios", nargs="+", choices=ALL, default=list(USUAL), metavar="SCENARIO", help="(most of them)"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PRODUCT", help="palaver, baresip, or a name of --with"
    )
    more = "another product: palaver with options, or lines typed"
    parser.add_argument("--with", action="append", default=[], metavar="NAME=OPTIONS", dest="more", help=more)
    parser.add_argument("--rounds", type=int, default=1, help="calls of each kind, each with other voices (1)")
    parser.add_argument("--turns", type=int, default=3, help="utterances of each person (3)")
    parser.add_argument("--seed", type=int, help="of the first round (1, with --tune 1001)")
    parser.add_argument("--driver", choices=("pulse", "alsa"), default="pulse", help="baresip's sound driver (pulse)")
    options = parser.parse_args()
    named = dict(entry.partition("=")[::2] for entry in options.more)
    products = {
        "palaver": palaver(),
        **{name: palaver(text) for name, text in named.items()},
        PEER: baresip(options.driver),
    }
    if unknown := set(options.only) - set(products):
        parser.error(f"there is no product {', '.join(sorted(unknown))}: there are {', '.join(products)}")
    options.products = {name: product for name, product in products.items() if not options.only or name in options.only}
    return options


def main() -> None:
    """Measure and print."""
    options = parse()
    found = trio.run(run, options)
    print(json.dumps(found, indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
