"""The figures of a call's sound in words and columns."""

from __future__ import annotations

from typing import Final, TypeAlias

from palaver_client import sound_words
from palaver_client.state import ClientState
from palaver_media.engine_messages import ConsumerStats
from palaver_protocol.models import UserId

Row: TypeAlias = tuple[str, tuple[str, ...]]  # a name, and figures

HEAD: Final[Row] = ("", ("to ear", "playout", "jitter", "lost", "concealed"))
TIMES: Final = 3  # so many of them come first
MEANING: Final = (
    "To ear: from their mouth to your ear, about. Playout: of it the time for which the sound waits for what comes"
    " late. Jitter: how unevenly it comes. Concealed: what was made up, because it did not come in time."
)
NOTHING: Final = "There are no figures yet; they come once a second during a call."


def rows(state: ClientState) -> tuple[Row, ...]:
    """A row for each person who is heard, by name."""
    if state.stats is None:
        return ()
    return tuple(sorted(_row(user, voice, state) for user, voice in state.stats.users.items()))


def _row(user: UserId, voice: ConsumerStats, state: ClientState) -> Row:
    return sound_words.name(user, state), of_voice(voice)


def of_voice(voice: ConsumerStats) -> tuple[str, ...]:
    """The figures of one voice, as `HEAD` names them."""
    times = (voice.mouth_to_ear_ms, voice.playout_ms, voice.jitter_ms)
    return *map(milliseconds, times), f"{voice.loss:.1%}", f"{voice.concealed:.1%}"


def in_lines(cells: tuple[str, ...]) -> str:
    """The figures of one voice with their names: times in a line, and shares in another, so that none is torn."""
    pairs = [f"{head} {cell}" for head, cell in zip(HEAD[1], cells, strict=True)]
    return "\n".join(" · ".join(line) for line in (pairs[:TIMES], pairs[TIMES:]))


def ours(state: ClientState) -> tuple[str, ...]:
    """How our own voice goes, in sentences of a line."""
    stats = state.stats
    if stats is None:
        return (NOTHING,)
    lines = [f"To the server and back {milliseconds(stats.rtt_ms)} · sending {stats.out_kbps:.0f} kbit/s"]
    lines.append(f"Microphone adds {milliseconds(stats.input_ms)} · speaker {milliseconds(stats.output_ms)}")
    if (sending := stats.sending) is not None:
        repeated = f" · {sending.copies} copies of earlier ones" if sending.copies else ""
        mended = f" · for {sending.expected_loss} % loss" if sending.expected_loss else ""
        lines.append(
            f"Opus {sending.bitrate / 1000:.0f} kbit/s · complexity {sending.complexity}"
            f"{mended} · frames of {sending.frame_ms} ms{repeated}"
        )
    return tuple(lines)


def milliseconds(value: float | None) -> str:
    """A time, where it was measured."""
    return "-" if value is None else f"{value:.0f} ms"
