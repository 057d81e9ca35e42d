"""Options of the command line about the sound: they hold for one run, over what is remembered."""

from __future__ import annotations

import argparse

from attrs import evolve

from palaver_media.sound_settings import BITRATES, FRAMES, RecordingForm, Transmit

from .sound_choices import SoundSettings


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let these be written."""
    remembered = "what you choose with commands (/help) is remembered, but for /mute, /deafen and /echotest"
    group = parser.add_argument_group("sound", f"for this run; {remembered}")
    modes = [each.value for each in Transmit]
    group.add_argument("--transmit", choices=modes, help="send always, while you speak, or from one /talk to the next")
    switch = argparse.BooleanOptionalAction
    group.add_argument("--headset", action=switch, help="least delay: no echo cancellation, frames of 10 ms")
    group.add_argument("--echo-cancellation", action=switch, help="without: for ears that the microphone cannot hear")
    group.add_argument("--noise-suppression", action=switch, help="without: for music, or a microphone with its own")
    group.add_argument("--gain-control", action=switch, help="without: the microphone stays as loud as it is")
    group.add_argument(
        "--bitrate",
        metavar="KBPS",
        type=bitrate,
        help="of the voice, 16 to 64 kbit/s (48); what mends losses may be as much again",
    )
    group.add_argument("--frame", type=int, choices=FRAMES, help="ms of sound in each packet (20)")
    group.add_argument(
        "--record",
        nargs="?",
        type=form,
        const=RecordingForm.OGG,
        metavar="FORM",
        help="record into files, one for each voice and one of all: ogg (without FORM) or wav; all are told",
    )


def form(written: str) -> RecordingForm:
    """In which files a call is recorded."""
    forms = {each.value: each for each in RecordingForm}
    if written not in forms:
        raise argparse.ArgumentTypeError(f"{written[:40]!r} is none of {', '.join(forms)}")
    return forms[written]


def bitrate(written: str) -> int:
    """A bitrate in bit/s, of one written in kbit/s."""
    least, most = BITRATES
    if not written.isascii() or not written.isdigit() or not least <= int(written[:6]) * 1000 <= most:
        raise argparse.ArgumentTypeError(f"{written[:40]!r} is not {least // 1000} to {most // 1000} kbit/s")
    return int(written) * 1000


def chosen(remembered: SoundSettings, options: argparse.Namespace) -> SoundSettings:
    """What holds for this run."""
    old = remembered.capture
    capture = evolve(
        old,
        transmit=Transmit(options.transmit) if options.transmit else old.transmit,
        echo=_switched(options.echo_cancellation, old.echo),
        noise=_switched(options.noise_suppression, old.noise),
        gain=_switched(options.gain_control, old.gain),
    )
    encoding = evolve(
        remembered.encoding,
        bitrate=options.bitrate or remembered.encoding.bitrate,
        frame_ms=options.frame or remembered.encoding.frame_ms,
    )
    is_headset = _switched(options.headset, remembered.is_headset)
    return evolve(remembered, capture=capture, encoding=encoding, is_headset=is_headset)


def _switched(written: bool | None, remembered: bool) -> bool:
    return remembered if written is None else written
