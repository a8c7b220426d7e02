"""Entries of the state about whose a key is, and how that changes.

==============================  ============================  ================================================
key                             entry                         meaning
==============================  ============================  ================================================
``G`` member                    :class:`Guardians`            who may recover it, as a commitment
``y`` member                    :class:`Recovery`             a move to another key that waits for a veto
``l`` member                    :class:`Leaving`              it goes, and everything about it
``u`` member                    :class:`Annulment`            its enrolment is said to be void
``w`` digest of a key           :class:`Left`                 this key left, and comes back later at the earliest
==============================  ============================  ================================================
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from chain.base.codec import encode

GUARDIANS, RECOVERIES, LEAVINGS, ANNULMENTS, LEFT = b"G", b"y", b"l", b"u", b"w"
# Few enough that a recovery that names all of them, with their signatures, is of usual size.
MAX_GUARDIANS = 7


class Guardians(NamedTuple):
    """Who may recover a member: a commitment, and the one that replaces it from ``next_slot`` (0: none does).

    Until ``undo_until_slot`` they can undo what the member's key did against them.
    """

    commitment: bytes
    next_commitment: bytes = b""
    next_slot: int = 0
    undo_until_slot: int = 0

    def in_force(self, slot: int) -> bytes:
        """The commitment that counts in a slot; empty where nobody does."""
        return self.next_commitment if 0 < self.next_slot <= slot else self.commitment


class Recovery(NamedTuple):
    """A member moves to ``key`` in ``due_slot``, unless its present key vetoes that before.

    It ``is_final``, and no key vetoes it, where a registrar stands by the guardians after a veto.  A vetoed one has no
    key any more: it stays until ``due_slot``, in which time such a recovery can begin.
    """

    key: bytes
    due_slot: int
    is_final: int = 0


class Leaving(NamedTuple):
    """A member is gone from ``due_slot`` on.  ``cursor`` is the next of its keys to forget; empty at first.

    The keys stay away as the policy of ``policy_version`` has it, to which it consented, or a better one.
    """

    due_slot: int
    is_void: int = 0
    cursor: bytes = b""
    policy_version: int = 1


# Status of an annulment: both are heard, it is before an arbiter, or granted, and the member can appeal.
IN_HEARING, BEFORE_ARBITER, GRANTED = range(3)
ANNULMENT_STATUS_NAMES = ("in hearing", "before an arbiter", "granted")


class Annulment(NamedTuple):
    """``registrar`` says that an enrolment is void, for a ``reason``; ``grounds`` are the member's objection or appeal.

    ``due_slot`` ends what the ``status`` waits for.  ``arbiter`` granted it, after which the member can appeal, once;
    ``lot``, ``lot_height`` and ``votes`` are those of a record.
    """

    registrar: bytes
    reason: bytes
    due_slot: int
    status: int = IN_HEARING
    grounds: bytes = b""
    arbiter: bytes = b""
    lot: bytes = b""
    lot_height: int = 0
    votes: tuple[tuple[bytes, int], ...] = ()

    @property
    def is_appealed(self) -> bool:
        """Whether the member's appeal is open."""
        return bool(self.arbiter) and self.status != GRANTED


class Left(NamedTuple):
    """Until when a key that left does not come back."""

    until_slot: int


def commitment_of(threshold: int, guardians: tuple[bytes, ...], salt: bytes) -> bytes:
    """What stands on the chain for ``threshold`` of these keys, until they act; ``salt`` is 16 random bytes."""
    return sha256(b"goodfaith/guardians/1" + encode((threshold, guardians, salt))).digest()


def guardians_key(member: bytes) -> bytes:
    """The state key of a member's guardians."""
    return GUARDIANS + member


def recovery_key(member: bytes) -> bytes:
    """The state key of a recovery that waits."""
    return RECOVERIES + member


def leaving_key(member: bytes) -> bytes:
    """The state key of a member's leave."""
    return LEAVINGS + member


def annulment_key(member: bytes) -> bytes:
    """The state key of an annulment that is open."""
    return ANNULMENTS + member


def left_key(key: bytes) -> bytes:
    """The state key of the mark of a key that left: a hash, which tells nothing to who does not have the key."""
    return LEFT + sha256(b"goodfaith/left/1" + key).digest()
