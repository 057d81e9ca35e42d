"""Whether there are devices, how loud a microphone is, and how the loudspeaker is heard by it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from palaver_client.engine import ask, list_devices
from palaver_media.engine_messages import Devices, Side, SoundTested, TestSound
from palaver_protocol import text

from .findings import Finding, Tell

PATIENCE: Final = 20.0  # s for a test of four seconds; a sound system may take long to answer
DEAD: Final = -90.0  # dBFS: a microphone that gives less gives nothing
NOISY: Final = -45.0  # dBFS of noise
LONG: Final = 150.0  # ms from loudspeaker to microphone: more is heard as slowness
STRONG: Final = 0.0  # dB of echo over what was played
SILENT_TEST: Final = "no echo heard: a headset, or the loudspeaker is off"


@frozen
class Chosen:
    """What to test, as specs."""

    source: str
    sink: str


async def look_at_sound(chosen: Chosen, tell: Tell) -> None:
    """All about devices, in the order in which one would mend them."""
    devices = await list_devices()
    tell(_listed("Microphones", devices.inputs, devices))
    tell(_listed("Loudspeakers", devices.outputs, devices))
    if chosen.source.startswith("device") and not devices.inputs:
        return
    tested = await ask(TestSound("doctor", chosen.source, chosen.sink), SoundTested, PATIENCE)
    if tested is None:
        tell(Finding("Sound test", "no answer", "restart the sound server, then try again"))
        return
    for side, word in ((Side.SOURCE, "Microphone"), (Side.SINK, "Loudspeaker")):
        if side in tested.problems:
            reason, _, remedy = tested.problems[side].partition("; ")
            tell(Finding(word, text.one_line(reason), text.one_line(remedy) or "choose another device"))
    if Side.SOURCE not in tested.problems:
        tell(_noise(tested))
    if not tested.problems:
        tell(_echo(tested))


def _listed(what: str, found: tuple[object, ...], devices: Devices) -> Finding:
    reason, _, remedy = devices.problem.partition("; ")
    if found:
        names = ", ".join(text.one_line(each.name) for each in found)  # type: ignore[attr-defined]
        return Finding(what, f"{len(found)}: {names}")
    return Finding(what, text.one_line(reason) or "none", text.one_line(remedy) or "connect one")


def _noise(tested: SoundTested) -> Finding:
    what, found = "Microphone", f"{tested.noise_dbfs:.0f} dBFS while nobody speaks"
    if tested.noise_dbfs <= DEAD:
        if tested.latency_ms is not None:
            return Finding(what, "not even noise while nobody speaks, but it hears")
        return Finding(what, "gives nothing, not even noise", "unmute it in the system's settings, or choose another")
    if tested.noise_dbfs > NOISY:
        return Finding(what, found, "it is loud there: turn its gain down, or come closer to it")
    return Finding(what, found)


def _echo(tested: SoundTested) -> Finding:
    if tested.latency_ms is None or tested.echo_db is None:
        return Finding("Echo path", SILENT_TEST)
    found = f"{tested.latency_ms:.0f} ms from loudspeaker to microphone, echo of {tested.echo_db:+.0f} dB"
    if tested.latency_ms > LONG:
        return Finding("Echo path", found, "it is slow: Bluetooth is, and a sound server with long buffers")
    if tested.echo_db > STRONG:
        return Finding("Echo path", found, "turn the loudspeaker down, or use a headset")
    return Finding("Echo path", found)
