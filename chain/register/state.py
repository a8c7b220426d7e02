"""The state: what the registry knows, as entries under keys, each with one canonical encoding.

The root over all of them is in every header.  A member, or an authority, keeps its *identity*, the key that it
came with, when it moves to another key; everything about it is filed under the identity.

==============================  ============================  ================================================
key                             entry                         meaning
==============================  ============================  ================================================
``p``                           :class:`Rules`                the policy in force, and the announced one
``P`` version                   :class:`PolicyText`           a policy
``n`` key                       :class:`Account`              the nonce of a key, and whose key it is
``m`` member                    :class:`Member`               an enrolled member
``r`` subject rater code        :class:`Rating`               a rating that stands
``d`` subject number            :class:`Record`               a record that stands or is suspended
``s`` subject code              :class:`CategorySum`          standing points in a category with a cap
``x`` member                    :class:`Attributes`           what is attested of a member for a while
``k`` hash                      :class:`Marker`               what may not be recorded again
``a`` authority                 :class:`Authority`            an accredited institution, and how it judges
``j``                           :class:`Roll`                 who may be drawn as an arbiter
``J`` arbiter issuer            :class:`Rulings`              how an arbiter ruled on an issuer
``t``                           :class:`Clock`                how long the register could not act
``v``                           :class:`Validators`           who makes blocks
``g``                           :class:`Docket`               which motions are open
``o`` number                    :class:`Motion`               a motion, open or closed
``q`` registrar                 :class:`Tally`                how many enrolments it signed on its last day
``L`` validator                 :class:`Tally`                how often it lost its signing state on its last day
``G``, ``y``, ``l``, ``u``, ``w``  :mod:`chain.content.identities`    whose a key is, and how that changes
==============================  ============================  ================================================

What has ended is deleted: a record that was struck, withdrawn, repaired or has expired is in the blocks, and
nowhere else; what is left is a marker, a hash that says nothing.

The keys are made in :mod:`chain.register.statekeys`, the entries are in :mod:`chain.register.entries`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgpack

from chain.base.codec import encode
from chain.base.errors import InvariantBroken, Refused
from chain.content.identities import (
    ANNULMENTS,
    GUARDIANS,
    LEAVINGS,
    LEFT,
    RECOVERIES,
    Annulment,
    Guardians,
    Leaving,
    Left,
    Recovery,
)
from chain.register.entries import (
    UNDISPUTED,
    Account,
    Attributes,
    Authority,
    CategorySum,
    Clock,
    Docket,
    Entry,
    Held,
    Marker,
    Member,
    Motion,
    PolicyText,
    Rating,
    Record,
    Roll,
    Rules,
    Rulings,
    Tally,
    Window,
)
from chain.register.statekeys import (
    ACCOUNTS,
    ATTRIBUTES,
    AUTHORITIES,
    CLOCK_KEY,
    DOCKET_KEY,
    LOSSES,
    MARKERS,
    MEMBERS,
    MOTIONS,
    POLICIES,
    RATINGS,
    RECORDS,
    ROLL_KEY,
    RULED,
    RULES_KEY,
    SUMS,
    TALLIES,
    VALIDATORS_KEY,
)
from chain.register.validators import read_validators


def _authority(fields: tuple[Any, ...]) -> Authority:
    authority = Authority(*fields)
    return authority._replace(window=Window(*authority.window))


def _attributes(due_slot: int, held: tuple[tuple[Any, ...], ...]) -> Attributes:
    return Attributes(due_slot, tuple(Held(*each) for each in held))


_READERS: dict[int, Callable[..., Entry]] = {
    ord(RULES_KEY): Rules,
    ord(POLICIES): PolicyText,
    ord(ACCOUNTS): Account,
    ord(MEMBERS): Member,
    ord(RATINGS): Rating,
    ord(RECORDS): Record,
    ord(ATTRIBUTES): _attributes,
    ord(SUMS): CategorySum,
    ord(MARKERS): Marker,
    ord(AUTHORITIES): lambda *fields: _authority(fields),
    ord(ROLL_KEY): Roll,
    ord(RULED): Rulings,
    ord(CLOCK_KEY): Clock,
    ord(VALIDATORS_KEY): lambda *fields: read_validators(fields),
    ord(DOCKET_KEY): Docket,
    ord(MOTIONS): Motion,
    ord(TALLIES): Tally,
    ord(LOSSES): Tally,
    ord(GUARDIANS): Guardians,
    ord(RECOVERIES): Recovery,
    ord(LEAVINGS): Leaving,
    ord(ANNULMENTS): Annulment,
    ord(LEFT): Left,
}


# What is left out at the end of these where all of it is as it mostly is: from which field on, and how it mostly is.
# The longest end comes first.
_USUAL_ENDS: dict[type[Entry], tuple[tuple[int, tuple[Any, ...]], ...]] = {
    Rating: ((2, (0, 0, UNDISPUTED, 0, b"", b"")),),
    Record: ((26, (b"", 0, 0)), (27, (0, 0))),
    PolicyText: ((2, (0,)),),
}
# How those begin, and markers while records stand: so many need no decoding to see that nothing of them falls due.
_NEVER_DUE = {RATINGS[0]: encode((0, 0))[:1], MARKERS[0]: encode(Marker(0))[:2]}
_OTHERS = bytes(1)


def encode_entry(entry: Entry) -> bytes:
    """The bytes that the state tree commits to; of a rating that only says how much, and when, nothing else."""
    for first, usual in _USUAL_ENDS.get(type(entry), ()):
        if entry[first:] == usual:
            return encode(entry[:first])
    return encode(entry)


def decode_entry(key: bytes, value: bytes) -> Entry:
    """Read an entry of a state whose root was checked; its key tells its type.

    Raises :class:`InvariantBroken` where it is none.
    """
    try:
        kind = key[0]
        return _decode_again(kind, value) if kind in _OFTEN_READ else _decode(kind, value)
    except (KeyError, IndexError, ValueError, TypeError, msgpack.UnpackException, Refused) as error:
        raise InvariantBroken(f"no entry of this state under {key.hex()}") from error


def _decode(kind: int, value: bytes) -> Entry:
    return _READERS[kind](*msgpack.unpackb(value, use_list=False, raw=True))


# Every block reads the first three, and they hardly ever change; each transaction on its way has the account of its
# actor read six times, a view of the head at a time, and most accounts say the same as many others.  At most 3 MB.
_OFTEN_READ = frozenset(RULES_KEY + VALIDATORS_KEY + ROLL_KEY + ACCOUNTS)
_decode_again = lru_cache(maxsize=4_096)(_decode)


# Kinds of entries, by the first byte of their keys, on which the chain itself may act.
WITH_DEADLINES = frozenset(
    RECORDS + MOTIONS + RATINGS + MARKERS + RULES_KEY + RECOVERIES + LEAVINGS + ANNULMENTS + LEFT + ATTRIBUTES
)


def due_slot(key: bytes, value: bytes | None) -> int | None:
    """The slot in which the chain itself acts on an entry, if it ever does."""
    kind = key[0]
    if value is None or kind not in WITH_DEADLINES or value.startswith(_NEVER_DUE.get(kind, _OTHERS)):
        return None
    return due_slot_of(decode_entry(key, value))


def due_slot_of(entry: Entry | None) -> int | None:
    """The slot in which the chain itself acts on an entry, if it ever does."""
    match entry:
        case Record() as record:
            return record.due_slot
        case Rating() as rating:
            return rating.due_slot or None
        case (
            Attributes(due_slot=slot)
            | Recovery(due_slot=slot)
            | Leaving(due_slot=slot)
            | Annulment(due_slot=slot)
            | Left(until_slot=slot)
        ):
            return slot
        case Marker(until_slot=until_slot):
            return until_slot or None
        case Motion(status=0) as motion:
            return motion.expires_slot
        case Rules() as rules if rules.next_version:
            return rules.next_slot
    return None


# The fields that :func:`due_slot_of` looks at.
_DEADLINES = frozenset(("deadline_slot", "due_slot", "expires_slot", "fades_slot", "until_slot"))


def put_off(entry: Any, slots: int) -> Any:
    """An entry on which the chain itself acts, with all its deadlines so many slots later."""
    later = {name: slot + slots for name, slot in zip(entry._fields, entry, strict=True) if name in _DEADLINES and slot}
    return entry._replace(**later)
