"""The figures as tables, beside what is aimed at."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any, Final

from .scenarios import CROWD, NETWORKS, ROOMS, STALLED

Call = dict[str, Any]
AIMS: Final = {
    "clean": "palaver: <= 80 ms, >= 4.0, STOI >= .99; a headset: <= 50 ms, >= 4.1; CPU <= 12 %",
    "jitter-loss": "palaver: <= 125 ms, >= 3.2; a headset: <= 90 ms, >= 3.4",
    "loss": "STOI >= .97",
    "burst": "STOI >= .92",
    STALLED: "back within 20 ms in 5 s",
    CROWD: "CPU <= 20 %",
    "echo": ">= 20 dB within 3 s, >= 35 dB after 5 s, STOI >= .93",
}
BUSY_MS: Final = 2.0  # of the relay's lateness: beyond, programs wait for their turn as well
TURNS: Final = (
    ("delay, ms", "delay_ms", 0),
    ("p95", "delay_p95_ms", 0),
    ("PESQ", "pesq", 2),
    ("STOI", "stoi", 3),
    ("played, %", "played", 1),
)
STALLS: Final = (
    ("before, ms", "before_ms", 0),
    ("worst", "worst_ms", 0),
    ("5 s after", "after_5_s_ms", 0),
    ("back after s", "back_after_s", 1),
)
ECHOES: Final = (
    ("echo, ms", "echo_delay_ms", 0),
    ("3-5 s, dB", "loss_db_3_to_5_s", 0),
    ("after 5 s", "loss_db_after_5_s", 0),
    ("STOI", "near_stoi", 3),
    ("delay, ms", "delay_ms", 0),
)
CROWDS: Final = (("voices heard", "heard", 0), ("played, %", "played", 1))
ALWAYS: Final = (("CPU, %", "cpu", 1), ("lost, %", "lost", 1), ("relay p99, ms", "late_ms", 1))


def table(found: dict[str, Any]) -> str:
    """All of it; where a kind of call was made several times, the median."""
    head = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    lines = [f"{head}; {found['voices']} voices"]
    kinds = (
        ("over networks", TURNS, NETWORKS),
        ("a stall", STALLS, (STALLED,)),
        ("echoes", ECHOES, ROOMS),
        ("eight who all talk", CROWDS, (CROWD,)),
    )
    for title, columns, scenarios in kinds:
        calls = [call for call in found["calls"] if call["scenario"] in scenarios]
        if calls:
            lines += ["", title, *_rows(calls, (*columns, *ALWAYS))]
    late = max((call["relay"]["late_ms_p99"] for call in found["calls"] if "relay" in call), default=0.0)
    if late > BUSY_MS:
        lines += [
            "",
            f"The machine was busy: the relay itself was late by up to {late:.0f} ms (p99). Do not trust the figures.",
        ]
    return "\n".join(lines)


def _rows(calls: list[Call], columns: tuple[tuple[str, str, int], ...]) -> Iterable[str]:
    widths = [max(8, len(title)) for title, _, _ in columns]
    heads = "  ".join(title.rjust(width) for (title, _, _), width in zip(columns, widths, strict=True))
    yield f"  {'':<12} {'':<12} {heads}"
    scenarios = list(dict.fromkeys(call["scenario"] for call in calls))
    for scenario in scenarios:
        for product in dict.fromkeys(call["product"] for call in calls):
            these = [call for call in calls if (call["scenario"], call["product"]) == (scenario, product)]
            good = [call for call in these if "problem" not in call]
            figures = [
                _figure(good, key, places).rjust(width) for (_, key, places), width in zip(columns, widths, strict=True)
            ]
            if these:
                yield f"  {scenario:<12} {product:<12} {'  '.join(figures)}"
            yield from (f"  {'':<25} {call['problem']}" for call in these if "problem" in call)
        aim = AIMS["echo" if scenario in ROOMS else scenario]
        yield f"  {'':<12} aim: {aim}"


def _figure(calls: list[Call], key: str, places: int) -> str:
    values = [value for call in calls if (value := _value(call, key)) is not None and not math.isnan(value)]
    return f"{statistics.median(values):.{places}f}" if values else "-"


def _value(call: Call, key: str) -> float | None:
    """A figure of a call, shares as per cent."""
    if key == "late_ms":
        return float(call["relay"]["late_ms_p99"])
    if key == "lost":
        tallies = call["relay"]["paths"].values()
        return 100 * sum(tally["lost"] for tally in tallies) / max(1, sum(tally["taken"] for tally in tallies))
    value = call.get(key)
    return None if value is None else float(value) * (100 if key == "played" else 1)
