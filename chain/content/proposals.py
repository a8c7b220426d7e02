"""What validators can decide together: the proposals that a motion carries.

On the wire a proposal is ``[kind, field, …]``.  Whether it may be carried depends on the state and is judged
in :mod:`chain.register.governance`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from chain.base.codec import U32_MAX, U64_MAX, Read, a_blob, an_integer, array, decode, encode, integer
from chain.base.errors import Reason, Refused

# What an authority may do beside filing: rights are bits.
REGISTRAR = 1
ARBITER = 2
ALL_RIGHTS = REGISTRAR | ARBITER
# Categories of one accreditation; more need a second authority key, or a broader category.
MAX_GRANT = 64
# Of a policy, encoded.  A motion carries a whole one on the chain, and must leave a block room for others.
MAX_POLICY_BYTES = 24_000
MAX_WEIGHT = 1_000_000


class Accredit(NamedTuple):
    """Make ``authority`` one, for ``categories`` and with ``rights``, from a date to a date (exclusive, in slots)."""

    authority: bytes
    rights: int
    categories: tuple[int, ...]
    from_slot: int
    until_slot: int


class Suspend(NamedTuple):
    """The authority may not file for now; it still answers for what it filed."""

    authority: bytes


class Revoke(NamedTuple):
    """The authority is none any more: what it does not answer, it loses."""

    authority: bytes


class Restore(NamedTuple):
    """A suspended authority may file again, and its overturned rate is counted anew."""

    authority: bytes


class Judge(NamedTuple):
    """Decide an appeal for which there are too few arbiters: ``verdict`` is that of a ruling."""

    subject: bytes
    number: int
    verdict: int


class JudgeEnrolment(NamedTuple):
    """The same about an annulment: ``verdict`` upholds what the registrar says, or strikes it."""

    subject: bytes
    verdict: int


class Amend(NamedTuple):
    """Replace the policy of ``base_version`` by an encoded one, in force from ``effective_slot``."""

    base_version: int
    effective_slot: int
    document: bytes


class AddValidator(NamedTuple):
    """One more validator."""

    key: bytes
    weight: int


class RemoveValidator(NamedTuple):
    """One validator less."""

    key: bytes


class JailValidator(NamedTuple):
    """A validator keeps its seat and loses its slots and its weight."""

    key: bytes


class ReleaseValidator(NamedTuple):
    """The end of a jail."""

    key: bytes


class ReplaceValidator(NamedTuple):
    """Another key takes a validator's seat and weight."""

    key: bytes
    other: bytes


class ReweighValidator(NamedTuple):
    """A validator gets another weight."""

    key: bytes
    weight: int


SeatProposal: TypeAlias = (
    AddValidator | RemoveValidator | JailValidator | ReleaseValidator | ReplaceValidator | ReweighValidator
)
Proposal: TypeAlias = Accredit | Suspend | Revoke | Restore | Judge | JudgeEnrolment | Amend | SeatProposal


def _categories(value: Any, name: str) -> tuple[int, ...]:
    codes = tuple(integer(code, 0, U32_MAX, name) for code in array(value, 0, MAX_GRANT, name))
    if list(codes) != sorted(set(codes)):
        raise Refused(Reason.MALFORMED, f"{name} are not in ascending order")
    return codes


def _document(value: Any, name: str) -> bytes:
    if type(value) is not bytes or not 1 <= len(value) <= MAX_POLICY_BYTES:
        raise Refused(Reason.MALFORMED, f"{name} is not 1 to {MAX_POLICY_BYTES} bytes")
    return value


_KEY = a_blob(32)
_WEIGHT, _HEIGHT = an_integer(1, MAX_WEIGHT), an_integer(0, U64_MAX)

# One row a kind: its number on the wire, its type, how its fields are read.
_KINDS: tuple[tuple[int, type[Proposal], tuple[Read, ...]], ...] = (
    (1, Accredit, (_KEY, an_integer(0, ALL_RIGHTS), _categories, _HEIGHT, _HEIGHT)),
    (2, Suspend, (_KEY,)),
    (3, Revoke, (_KEY,)),
    (4, Restore, (_KEY,)),
    (5, Amend, (an_integer(1, U32_MAX), _HEIGHT, _document)),
    (6, AddValidator, (_KEY, _WEIGHT)),
    (7, RemoveValidator, (_KEY,)),
    (8, JailValidator, (_KEY,)),
    (9, ReleaseValidator, (_KEY,)),
    (10, ReplaceValidator, (_KEY, _KEY)),
    (11, ReweighValidator, (_KEY, _WEIGHT)),
    (12, Judge, (_KEY, an_integer(0, U32_MAX), an_integer(1, 2))),
    (13, JudgeEnrolment, (_KEY, an_integer(1, 2))),
)
_TYPES = {number: (kind, reads) for number, kind, reads in _KINDS}
_NUMBERS: dict[type[Proposal], int] = {kind: number for number, kind, _ in _KINDS}


def proposal_fields(proposal: Proposal) -> tuple[Any, ...]:
    """The proposal as it travels: ``(kind, field, …)``."""
    return (_NUMBERS[type(proposal)], *proposal)


def read_proposal(fields: Any) -> Proposal:
    """Read :func:`proposal_fields` from outside.  Raises :class:`Refused` ``MALFORMED``."""
    array(fields, 1, 8, "a proposal")
    row = _TYPES.get(fields[0]) if type(fields[0]) is int else None
    if row is None:
        raise Refused(Reason.MALFORMED, "unknown kind of proposal")
    kind, reads = row
    if len(fields) != 1 + len(reads):
        raise Refused(Reason.MALFORMED, f"a proposal to {kind.__name__} has {len(reads)} fields")
    names = kind._fields
    return kind(*(read(value, name) for read, value, name in zip(reads, fields[1:], names, strict=True)))


def encode_proposal(proposal: Proposal) -> bytes:
    """The proposal as a motion's entry in the state keeps it."""
    return encode(proposal_fields(proposal))


def decode_proposal(data: bytes) -> Proposal:
    """Read :func:`encode_proposal`.  Raises :class:`Refused`."""
    return read_proposal(decode(data, max_bytes=MAX_POLICY_BYTES + 512, max_items=MAX_GRANT))
