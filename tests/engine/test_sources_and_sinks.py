"""Specs, sources and sinks, each by itself."""

from __future__ import annotations

import asyncio
import math
import os
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from palaver_engine.blocks import BLOCK, SILENCE, Meter, level
from palaver_engine.sequence import Sequence
from palaver_engine.sinks import FileSink, PcmSink
from palaver_engine.sources import FileSource, PcmSource, ToneSource, open_source
from palaver_engine.specs import Kind, SoundError, Spec, parse
from palaver_media.engine_messages import Side
from sound.voices import pitch, rms, tone


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("device", Spec(Kind.DEVICE, "")),
        ("device:USB: front", Spec(Kind.DEVICE, "USB: front")),
        ("file:/tmp/a:b.wav", Spec(Kind.FILE, "/tmp/a:b.wav")),
        ("pcm", Spec(Kind.PCM, "")),
        ("null", Spec(Kind.NULL, "")),
    ],
)
def test_specs(text, spec):
    for side in Side:
        assert parse(text, side) == spec
        assert str(spec) == text


@pytest.mark.parametrize("text", ["", "file", "file:", "tone:440", "pcm:1", "null:x", "mic", "Device"])
def test_what_is_no_sink(text):
    with pytest.raises(SoundError) as problem:
        parse(text, Side.SINK)
    assert "device:NAME" in problem.value.remedy
    assert "tone" not in problem.value.remedy


def write_wav(path, rate, channels, width, samples):
    scaled = {
        1: lambda x: ((x >> 8) + 128).astype("u1"),
        2: lambda x: x.astype("<i2"),
        4: lambda x: (x.astype("<i4") << 16).astype("<i4"),
    }
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        wide = np.repeat(samples.astype(np.int64), channels)
        if width == 3:
            data = (wide << 8).astype("<i4").view("u1").reshape(-1, 4)[:, :3].tobytes()
        else:
            data = scaled[width](wide).tobytes()
        file.writeframes(data)
    return path


def read_all(source) -> np.ndarray:
    blocks = []
    while (block := source.read()) is not None:
        assert block.shape == (BLOCK,)
        blocks.append(block)
    return np.concatenate(blocks)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 1), (96_000, 2)])
def test_any_wav_is_read_as_48_khz_mono(tmp_path, rate, channels, width):
    time = np.arange(rate) / rate
    samples = np.round(8192 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    heard = read_all(FileSource(write_wav(tmp_path / "a.wav", rate, channels, width, samples)))
    assert len(heard) == pytest.approx(48_000, abs=960)
    assert pitch(heard[4800:43_200]) == pytest.approx(440, abs=2)
    assert rms(heard[4800:43_200]) == pytest.approx(rms(samples), abs=0.5)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # nobody will ever write into it
    for path, reason in (
        (tmp_path / "pipe", "it is no file"),
        (Path("/dev/zero"), "it is no file"),
        (tmp_path, "is a directory"),
        (tmp_path / ("x" * 300), "file name too long"),
    ):
        with pytest.raises(SoundError, match=reason) as problem:
            FileSource(path)
        assert problem.value.remedy


def test_a_file_that_ended_stays_silent(tmp_path):
    source = FileSource(write_wav(tmp_path / "a.wav", 48_000, 1, 2, tone(440, 0.1)))
    assert len(read_all(source)) == 4800
    assert source.read() is None
    source.close()
    assert source.read() is None


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"hello world\n" * 100, b"RIFF\xff\xff\xff\xffWAVEfmt ", bytes(5000)]
)
def test_a_file_that_is_no_sound_is_told(tmp_path, content):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(SoundError) as problem:
        FileSource(path)
    assert "broken.wav" in problem.value.reason
    assert problem.value.remedy


@pytest.mark.parametrize(
    ("tag", "channels"), [(0x0008, 1), (0x0092, 1), (0x1234, 1), (0xFFFF, 1), (0x0001, 0), (0x0001, 65_535)]
)
def test_a_wav_that_nothing_decodes_is_told(tmp_path, tag, channels):
    path = tmp_path / "odd.wav"
    form = struct.pack("<HHIIHH", tag, channels, 48_000, 96_000, 2, 16)
    data = bytes(9600)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    with pytest.raises(SoundError, match=r"odd\.wav") as problem:
        FileSource(path)
    assert "FLAC" in problem.value.remedy


@pytest.mark.parametrize("format_name", ["flac", "ogg", "mp3"])
def test_what_the_remedy_names_is_read(tmp_path, format_name):
    path = tmp_path / f"a.{format_name}"
    with av.open(str(path), "w", format=format_name) as file:
        stream = file.add_stream({"flac": "flac", "ogg": "libopus", "mp3": "libmp3lame"}[format_name], rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(tone(440, 0.5)[np.newaxis], "s16", "mono")
        frame.rate = 48_000
        converted = av.AudioResampler(stream.format, "mono", 48_000, frame_size=stream.frame_size or 4096)
        pieces = [*converted.resample(frame), *converted.resample(None)]
        file.mux([packet for piece in [*pieces, None] for packet in stream.encode(piece)])
    assert pitch(read_all(FileSource(path))[4800:19_200]) == pytest.approx(440, abs=2)


def test_a_wav_cut_off_anywhere_is_played_to_its_end_or_told(tmp_path):
    whole = write_wav(tmp_path / "whole.wav", 44_100, 2, 2, tone(440, 0.5)).read_bytes()
    path = tmp_path / "cut.wav"
    for size in [*range(0, 60, 4), 1000, 1001, 20_000]:
        path.write_bytes(whole[:size])
        try:
            source = FileSource(path)
        except SoundError:
            assert size < 60
        else:
            assert len(read_all(source)) < 48_000


def test_a_tone_has_no_seam():
    source = ToneSource("997.5")
    samples = np.concatenate([source.read() for _ in range(100)])
    assert pitch(samples) == pytest.approx(997.5, abs=1)
    assert rms(samples) == pytest.approx(-12, abs=0.1)
    assert np.abs(np.diff(samples.astype(int))).max() < 32_768 * 0.36 * 2 * math.pi * 997.5 / 48_000 * 1.01
    for wrong in ("x", "0", "-5", "nan", "inf", "30000"):
        with pytest.raises(SoundError):
            ToneSource(wrong)


def test_pcm_is_said_in_order_and_bounded():
    source = PcmSource()
    assert open_source(Spec(Kind.PCM, ""), source) is source
    samples = np.arange(1000, dtype=np.int16)
    for start in range(0, 1000, 250):
        assert source.push(samples[start : start + 250].tobytes() + b"\0" * (start == 0))
    heard = read_all(source)
    assert len(heard) == 1440
    assert np.array_equal(heard[:1000], samples)
    assert not heard[1000:].any()
    second = bytes(96_000)
    assert [source.push(second) for _ in range(61)] == [True] * 60 + [False]


def test_a_sink_in_the_home_of_nobody_is_told():
    with pytest.raises(SoundError, match=r"no home folder ~nobody\.here"):
        FileSink(Path("~nobody.here/a.wav"))


def test_what_is_heard_is_written_and_the_header_is_right_all_the_time(tmp_path):
    path = tmp_path / "out.wav"
    sink = FileSink(path)
    said = tone(440, 0.55)
    for count, start in enumerate(range(0, len(said), BLOCK), 1):
        sink.write(said[start : start + BLOCK], {})
        with wave.open(str(path)) as file:
            assert file.getnframes() == count // 10 * 10 * BLOCK
    sink.close()
    with wave.open(str(path)) as file:
        assert np.array_equal(np.frombuffer(file.readframes(file.getnframes()), "<i2"), said)


@pytest.mark.parametrize("path", ["/nowhere/at/all.wav", "/", "/dev/full"])
def test_a_file_that_cannot_be_written_is_told(path):
    from pathlib import Path

    with pytest.raises(SoundError) as problem:
        FileSink(Path(path))
    assert path in problem.value.reason


@pytest.mark.asyncio
async def test_pcm_reports_are_20_ms_of_each_voice():
    reports = []
    sink = PcmSink("call", reports.append, asyncio.get_running_loop())
    for count in range(4):
        sink.write(SILENCE, {"a": np.full(BLOCK, count, np.int16), **({"b": SILENCE} if count < 3 else {})})
    await asyncio.sleep(0)
    assert [(pcm.call, pcm.stream, len(pcm.samples)) for pcm in reports] == [
        ("call", "a", 1920),
        ("call", "b", 1920),
        ("call", "a", 1920),
    ]
    assert set(np.frombuffer(reports[2].samples, "<i2")) == {2, 3}
    for _ in range(2000):  # an owner that does not read costs no memory
        sink.write(SILENCE, {"a": SILENCE})
    await asyncio.sleep(0)
    assert len(reports) < 300


def test_levels_are_in_dbfs():
    assert level(SILENCE) == -100
    assert level(np.full(BLOCK, -32_768, np.int16)) == 0
    assert level(tone(1000, 0.1)) == pytest.approx(-12, abs=0.1)
    meter = Meter()
    meter.add(tone(1000, 0.01, -20))
    meter.add(SILENCE)
    assert meter.read() == pytest.approx(-20, abs=0.5)
    assert meter.read() == -100


def test_losses_are_counted_over_wraps_and_new_starts():
    sequence = Sequence()
    for number in [65_533, 65_535, 65_534, 0, 3, 3, 65_535]:
        sequence.note(number)
    assert (sequence.received, sequence.lost) == (5, 2)
    assert not sequence.note(40_000)
    assert sequence.note(40_001)
    assert sequence.note(40_003)
    assert (sequence.received, sequence.lost) == (8, 3)
