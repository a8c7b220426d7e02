"""Entries of the state for people: what one is about, and how two of them differ."""

from __future__ import annotations

from collections.abc import Callable

from chain.base.errors import InvariantBroken, Refused
from chain.base.keys import did_from_key
from chain.register.state import decode_entry
from chain.register.statekeys import (
    AUTHORITIES,
    CLOCK_KEY,
    DOCKET_KEY,
    MARKERS,
    MEMBERS,
    MOTIONS,
    RATINGS,
    RECORDS,
    ROLL_KEY,
    RULED,
    RULES_KEY,
    VALIDATORS_KEY,
    authority_key,
    marker_key,
    member_key,
    motion_key,
    rating_key,
    read_identity,
    read_motion_key,
    read_rating_key,
    read_record_key,
    read_rulings_key,
    record_key,
    rulings_key,
)


def name_of(key: bytes) -> str:
    """A state key for people."""
    if key in _SINGLE:
        return _SINGLE[key]
    size, name = _NAMES.get(key[:1], (0, _by_key))
    return name(key) if len(key) == size else f"the key {key.hex()}"


def _by_key(key: bytes) -> str:
    return did_from_key(read_identity(key))


def _record(key: bytes) -> str:
    subject, number = read_record_key(key)
    return f"record {number} about {did_from_key(subject)}"


def _rating(key: bytes) -> str:
    subject, rater, category = read_rating_key(key)
    return f"the rating of {did_from_key(subject)} by {did_from_key(rater)} in category {category}"


def _rulings(key: bytes) -> str:
    arbiter, issuer = read_rulings_key(key)
    return f"the rulings of {did_from_key(arbiter)} on {did_from_key(issuer)}"


_SINGLE = {
    RULES_KEY: "the policy in force",
    VALIDATORS_KEY: "the validators",
    DOCKET_KEY: "the list of open motions",
    ROLL_KEY: "the roll of arbiters",
    CLOCK_KEY: "what was lost to outages",
}
# By how a key begins: how long it is, since what is stored may be nonsense, and its name.
_NAMES: dict[bytes, tuple[int, Callable[[bytes], str]]] = {
    MEMBERS: (len(member_key(bytes(32))), lambda key: f"member {_by_key(key)}"),
    AUTHORITIES: (len(authority_key(bytes(32))), lambda key: f"authority {_by_key(key)}"),
    MARKERS: (len(marker_key(bytes(32))), lambda key: f"the marker {key[1:].hex()}"),
    RULED: (len(rulings_key(bytes(32), bytes(32))), _rulings),
    MOTIONS: (len(motion_key(0)), lambda key: f"motion {read_motion_key(key)}"),
    RECORDS: (len(record_key(bytes(32), 0)), _record),
    RATINGS: (len(rating_key(bytes(32), bytes(32), 0)), _rating),
}


def difference(key: bytes, stored: bytes, expected: bytes) -> str:
    """In which fields what is stored under a key is not what the chain says, for people."""
    try:
        record = decode_entry(key, stored)
    except (Refused, InvariantBroken) as error:
        return str(error)
    right = decode_entry(key, expected)
    differing = [
        f"{name} {_shown(found)} instead of {_shown(wanted)}"
        for name, found, wanted in zip(right._fields, record, right, strict=True)
        if found != wanted
    ]
    return ", ".join(differing) or "not encoded as the chain encodes it"


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
