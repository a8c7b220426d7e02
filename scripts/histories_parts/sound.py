"""What the entries of a state owe one another, whatever rules made them: whoever is spoken of is there.

All that falls due takes its parties for granted.  Where one is missing nothing happens yet; at some deadline it would.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from chain.register.state import decode_entry

Entries = Mapping[bytes, Any]
_OPEN = 0


def missing(state: Mapping[bytes, bytes]) -> Iterator[str]:
    """What is wrong with the encoded entries of a state, each as a sentence."""
    kinds: dict[str, dict[bytes, Any]] = defaultdict(dict)
    for key, value in state.items():
        kinds[chr(key[0])][key[1:]] = decode_entry(key, value)
    for look in _LOOKS:
        yield from look(kinds)


_Look = Callable[[Mapping[str, Entries]], Iterator[str]]


def _members(of: Mapping[str, Entries]) -> Iterator[str]:
    """A member, and an authority, has a key, to which all its keys lead."""
    for kind in "ma":
        for who, entry in of[kind].items():
            key = who
            for _ in of["n"]:
                account = of["n"].get(key)
                if account is None:
                    break
                if (account.identity or key) != who:
                    yield f"a key of {_name(who)} is somebody else's"
                if not account.successor:
                    break
                key = account.successor
            if key != entry.key or of["n"].get(key) is None:
                yield f"the keys of {_name(who)} do not lead to the one that it has"


def _accounts(of: Mapping[str, Entries]) -> Iterator[str]:
    """A key that was left leads to another, unless both are just being forgotten."""
    for key, account in of["n"].items():
        if account.successor and account.successor not in of["n"]:
            yield f"{_name(key)} was left for a key that is not there"
        owner = account.identity or key
        if owner not in of["n"] and owner not in of["l"]:
            yield f"{_name(key)} is a key of nobody"


def _waiting(of: Mapping[str, Entries]) -> Iterator[str]:
    """Whatever waits is about a member; one who leaves says so, or is gone, and its keys follow."""
    for kind in "Gyux":
        for who in of[kind]:
            if who not in of["m"]:
                yield f"something ({kind}) waits for {_name(who)}, who is no member"
    for who, leaving in of["l"].items():
        member = of["m"].get(who)
        if member is not None and (leaving.cursor or member.leaves_slot != leaving.due_slot):
            yield f"{_name(who)} leaves, and does not"
        if member is None and leaving.cursor not in of["n"]:
            yield f"{_name(who)} is gone, and no key of it is left to forget"
    for who, member in of["m"].items():
        if member.leaves_slot and who not in of["l"]:
            yield f"{_name(who)} says that it leaves, and nothing waits for that"


def _records(of: Mapping[str, Entries]) -> Iterator[str]:
    """A record has a member, an issuer and a marker of its evidence; members count theirs."""
    counted: Counter[tuple[bytes, str]] = Counter()
    for key, record in of["d"].items():
        subject, number = key[:32], int.from_bytes(key[32:], "big")
        member = of["m"].get(subject)
        if member is None or number >= member.filed:
            yield f"record {number} is about {_name(subject)}, who is no member or never had it"
        if record.issuer not in of["a"]:
            yield f"record {number} about {_name(subject)} has no issuer"
        marker = of["k"].get(sha256(b"goodfaith/marker/evidence" + subject + record.evidence).digest())
        if marker is None or record.category not in dict(marker.filed):
            yield f"record {number} about {_name(subject)} has left no mark"
        counted[subject, "standing" if record.counts else "suspended"] += 1
    for who, member in of["m"].items():
        for what in ("standing", "suspended"):
            if getattr(member, what) != counted[who, what]:
                yield f"{_name(who)} has {counted[who, what]} records that are {what}, and counts {member}"


def _ratings(of: Mapping[str, Entries]) -> Iterator[str]:
    """A rating has two members, who count it."""
    about: Counter[bytes] = Counter()
    by: Counter[bytes] = Counter()
    for key, rating in of["r"].items():
        subject, rater = key[:32], key[32:64]
        if subject not in of["m"] or rater not in of["m"]:
            yield f"a rating of {_name(subject)} by {_name(rater)}, who are not both members"
        about[subject] += rating.points
        by[rater] += 1
    for who, member in of["m"].items():
        account = of["n"].get(member.key)
        given = 0 if account is None else account.given
        if (member.rated_points, given) != (about[who], by[who]):
            yield f"{_name(who)} has {about[who]} points of {by[who]} ratings given, and counts {member} and {given}"


def _motions(of: Mapping[str, Entries]) -> Iterator[str]:
    """The docket has the open motions, and no others."""
    is_open = {int.from_bytes(key, "big") for key, motion in of["o"].items() if motion.status == _OPEN}
    if is_open != set(of["g"][b""].open):
        yield "the docket does not have just the motions that are open"


_LOOKS: tuple[_Look, ...] = (_members, _accounts, _waiting, _records, _ratings, _motions)


def _name(key: bytes) -> str:
    return key.hex()[:8]
