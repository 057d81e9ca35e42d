"""What is asked for again, when, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from palaver_media import rtcp
from palaver_media.rtcp import Nack
from palaver_worker.nack import AGAIN, MOST, PATIENCE, REQUESTS, Missing


def missing(*came: int, now: float = 0.0) -> Missing:
    """What is missing after these have come."""
    missing = Missing()
    for index in came:
        missing.note(index, now)
    return missing


def test_nothing_is_missing_of_what_comes_in_order():
    assert missing(7, 8, 9).deadline() is None
    assert missing(7, 8, 9).due(1000) == []


def test_what_was_skipped_is_asked_for_when_it_cannot_just_have_been_overtaken():
    some = missing(7, 10, 12)
    assert some.deadline() == PATIENCE
    assert some.due(PATIENCE / 2) == []
    assert some.due(PATIENCE) == [8, 9, 11]


def test_what_comes_late_is_not_asked_for():
    assert missing(7, 10, 8).due(PATIENCE) == [9]
    some = missing(7, 10, 8, 9)
    assert some.due(PATIENCE) == []
    assert some.deadline() is None


def test_each_is_asked_for_a_few_times():
    some = missing(1, 3)
    now = 0.0
    for _ in range(REQUESTS):
        deadline = some.deadline()
        assert deadline is not None
        assert deadline >= now + PATIENCE
        now = deadline
        assert some.due(now) == [2]
        assert some.due(now + AGAIN / 2) == []
    assert some.deadline() is None
    assert some.due(1000) == []


def test_an_interruption_is_not_mended():
    assert len(missing(0, MOST + 1).due(1)) == MOST
    assert missing(0, MOST + 2).due(1) == []
    assert missing(0, 2, MOST + 3).due(1) == []
    some = missing(0, 30_000)
    some.note(30_002, 0)
    assert some.due(1) == [30_001]


@given(st.sets(st.integers(0, 500), min_size=1), st.integers(0, 2**20))
def test_a_request_names_what_is_missing(offsets, first):
    lost = [first + offset for offset in sorted(offsets)]
    assert rtcp.parse(rtcp.write_nack(1, 2, lost)) == [Nack(2, tuple(index & 0xFFFF for index in lost))]
    assert len(rtcp.write_nack(1, 2, range(first, first + 17))) == 16  # bytes: all in one entry
