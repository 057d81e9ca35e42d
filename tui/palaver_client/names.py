"""Who is meant by what somebody types: a name or its beginning, whatever the case, or # and the beginning of an id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from palaver_protocol.table import Code, refusal

ID_SHOWN: Final = 8  # characters
MAX_LISTED: Final = 10  # names


@frozen
class Candidate:
    """Somebody, or a ring, that may be meant; `key` finds it again."""

    key: str
    name: str
    id: str


def find(wanted: str, candidates: Iterable[Candidate], what: str) -> str:
    """The key of the only one meant; `what` says what all of them are.

    Raises:
        Refusal: nobody is, or several are; it lists them.
    """
    known = tuple(candidates)
    meant = matching(wanted, known)
    if len(meant) == 1:
        return meant[0].key
    if meant:
        raise refusal(Code.NOT_FOUND, f"{wanted[:40]} may be {listed(meant)}; type more of it, or # and the id")
    only = "only " if len(known) == 1 else ""
    there = f"there {'is' if only else 'are'} {only}{listed(known)}" if known else "there is nobody"
    raise refusal(Code.NOT_FOUND, f"{what}: nobody is called {wanted[:40]}; {there}")


def matching(wanted: str, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Those of exactly that name, or else those whose name begins so."""
    typed = wanted.casefold()
    if typed.startswith("#") and len(typed) > 1:
        return tuple(each for each in candidates if each.id.casefold().startswith(typed[1:]))
    exact = tuple(each for each in candidates if each.name.casefold() == typed)
    return exact or tuple(each for each in candidates if typed and each.name.casefold().startswith(typed))


def listed(candidates: tuple[Candidate, ...]) -> str:
    """Names, with ids where the same name is there twice."""
    times = Counter(each.name.casefold() for each in candidates)
    names = [
        f"{each.name} #{each.id[:ID_SHOWN]}" if times[each.name.casefold()] > 1 else each.name for each in candidates
    ]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
