"""Who is meant by what somebody types."""

from __future__ import annotations

import pytest

from palaver_client import Refusal
from palaver_client.names import Candidate, find

PEOPLE = (
    Candidate("1", "Ann", "aaa1"),
    Candidate("2", "Anna", "bbb2"),
    Candidate("3", "Émile Zola", "ccc3"),
    Candidate("4", "Bob", "ddd4"),
    Candidate("5", "bob", "dde5"),
)


@pytest.mark.parametrize(
    ("typed", "key"), [("ann", "1"), ("ANNA", "2"), ("ém", "3"), ("émile zola", "3"), ("#c", "3"), ("#dde", "5")]
)
def test_a_name_or_its_beginning_is_enough(typed: str, key: str) -> None:
    assert find(typed, PEOPLE, "online") == key


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("bob", "bob may be Bob #ddd4, bob #dde5; type more of it, or # and the id"),
        ("an", "an may be Ann, Anna"),
        ("#d", "may be Bob #ddd4"),
        ("zoe", "online: nobody is called zoe; there are Ann, Anna"),
        ("#", "nobody is called #"),
        ("", "nobody is called"),
    ],
)
def test_what_is_not_clear_is_listed(typed: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        find(typed, PEOPLE, "online")


def test_where_nobody_is_it_is_said() -> None:
    with pytest.raises(Refusal, match="there is nobody"):
        find("ann", (), "online")


def test_where_only_one_is_it_is_said() -> None:
    with pytest.raises(Refusal, match="here: nobody is called zed; there is only Ann"):
        find("zed", PEOPLE[:1], "here")


def test_a_long_list_is_cut() -> None:
    many = tuple(Candidate(str(number), f"x{number}", str(number)) for number in range(30))
    with pytest.raises(Refusal, match="x9 and 20 more"):
        find("x", many, "online")
