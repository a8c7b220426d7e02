"""The credit registry: the state, and what each transaction does to it.

The state is a map from keys to records, both with one canonical encoding; its root is in every header.

==========================  ===================================  ==========================
key                         record                               meaning
==========================  ===================================  ==========================
``p``                       :class:`PolicyInForce`               the rules
``v``                       :class:`.Validators`                 who makes blocks
``m`` member                :class:`Member`                      one enrolled key
``r`` subject rater code    :class:`Rating`                      a standing rating
==========================  ===================================  ==========================

A rule checks everything before it writes anything, so a refused transaction has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from chain.codec import decode, encode
from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.keys import check_public_key
from chain.policy import Policy
from chain.transactions import Action, Enrol, Rate, Transaction
from chain.validators import Validators, begin, decode_validators, genesis_validators


class PolicyInForce(NamedTuple):
    """Version and digest of the policy that new records follow."""

    version: int
    digest: bytes


class Member(NamedTuple):
    """An enrolled key.  ``points`` is the sum of the ``ratings`` that stand about it."""

    key: bytes
    enrolled_height: int
    nonce: int
    points: int
    ratings: int


class Rating(NamedTuple):
    """What a rater last said about a subject, and the height of the block that holds it."""

    points: int
    height: int


Record: TypeAlias = PolicyInForce | Validators | Member | Rating

_RECORDS: dict[bytes, type[Record]] = {b"p": PolicyInForce, b"m": Member, b"r": Rating}
_MAX_RECORD_BYTES = 4_096

POLICY_KEY = b"p"
VALIDATORS_KEY = b"v"


def member_key(member: bytes) -> bytes:
    """The state key of a member."""
    return b"m" + member


def rating_key(subject: bytes, rater: bytes, category: int) -> bytes:
    """The state key of a rating; all ratings about one subject share a prefix."""
    return b"r" + subject + rater + category.to_bytes(4, "big")


def read_rating_key(key: bytes) -> tuple[bytes, bytes, int]:
    """``(subject, rater, category)`` of a rating's state key."""
    return key[1:33], key[33:65], int.from_bytes(key[65:], "big")


def encode_record(record: Record) -> bytes:
    """The bytes that the state tree commits to."""
    return encode(record)


def decode_record(key: bytes, value: bytes) -> Record:
    """Read a stored record; its key tells its type.  Raises :class:`Refused` if it is not canonical."""
    if key == VALIDATORS_KEY:
        return decode_validators(value)
    kind = _RECORDS.get(key[:1])
    fields = decode(value, max_bytes=_MAX_RECORD_BYTES)
    if kind is None or len(fields) != len(kind._fields):
        raise Refused(Reason.MALFORMED, "not a record of this state")
    return kind(*fields)


def read_validators(records: Mapping[bytes, Record]) -> Validators:
    """The validators of a state."""
    validators = records[VALIDATORS_KEY]
    if not isinstance(validators, Validators):
        raise InvariantBroken("the state holds something else in place of its validators")
    return validators


def check_action(policy: Policy, transaction: Transaction) -> None:
    """The rules that follow from the policy alone, whatever the state is.  Raises :class:`Refused`."""
    match transaction.action:
        case Rate(subject, code, points):
            if subject == transaction.actor:
                raise Refused(Reason.SELF_RATING, "nobody rates itself")
            category = policy.ratings.get(code)
            if category is None:
                raise Refused(Reason.UNKNOWN_CATEGORY, f"category {code} is not in the policy")
            if not category.low <= points <= category.high:
                raise Refused(Reason.POINTS_OUT_OF_RANGE, f"{points} is not from {category.low} to {category.high}")
        case _:
            pass


class Draft:
    """Transactions tried one after another on top of a state that stays as it is.

    It is for the block at ``height`` in ``slot`` whose validators are in force since ``set_start``.  ``changes``
    maps each touched key to ``(record before, record after)``.
    """

    def __init__(
        self, records: Mapping[bytes, Record], genesis: Genesis, height: int, slot: int, set_start: int
    ) -> None:
        self._records = records
        self._written: dict[bytes, Record] = {}
        self.genesis = genesis
        self.policy: Policy = genesis.policy
        self.height = height
        self.slot = slot
        before = read_validators(records)
        after = begin(before, height=height, slot=slot, set_start=set_start)
        if after is not before:
            self.put(VALIDATORS_KEY, after)

    def get(self, key: bytes) -> Record | None:
        """The record as this draft sees it."""
        record = self._written.get(key)
        return self._records.get(key) if record is None else record

    def member(self, member: bytes) -> Member | None:
        """The member with this key, as this draft sees it."""
        key = b"m" + member
        record = self._written.get(key)
        return record or self._records.get(key)  # type: ignore[return-value]  # keys decide the type

    def put(self, key: bytes, record: Record) -> None:
        """Write a record into the draft."""
        self._written[key] = record

    @property
    def changes(self) -> dict[bytes, tuple[Record | None, Record]]:
        """Each touched key with its record before and after."""
        records = self._records
        return {key: (records.get(key), record) for key, record in self._written.items()}

    def apply(self, transaction: Transaction) -> None:
        """Carry out one transaction, or raise :class:`Refused` and leave the draft as it was."""
        if transaction.expiry_height < self.height:
            raise Refused(Reason.EXPIRED, f"expired at height {transaction.expiry_height}")
        if transaction.expiry_height > self.height + self.genesis.max_expiry_blocks:
            raise Refused(Reason.EXPIRY_TOO_FAR, f"more than {self.genesis.max_expiry_blocks} blocks ahead")
        actor = self.member(transaction.actor)
        next_nonce = 0 if actor is None else actor.nonce
        if transaction.nonce != next_nonce:
            reason = Reason.NONCE_USED if transaction.nonce < next_nonce else Reason.NONCE_GAP
            raise Refused(reason, f"nonce {transaction.nonce} where {next_nonce} is next")
        check_action(self.policy, transaction)
        _RULES[type(transaction.action)](self, transaction, actor)


def _enrol(draft: Draft, transaction: Transaction, actor: Member | None) -> None:
    if actor is not None:
        raise Refused(Reason.ALREADY_ENROLLED, "this key is enrolled")
    check_public_key(transaction.actor)
    draft.put(member_key(transaction.actor), Member(transaction.actor, draft.height, 1, 0, 0))


def _rate(draft: Draft, transaction: Transaction, actor: Member | None) -> None:
    action = transaction.action
    if not isinstance(action, Rate):
        raise InvariantBroken("a rule was given another kind's transaction")
    subject_key, category_code, points = action
    if actor is None:
        raise Refused(Reason.NOT_ENROLLED, "the rater is not enrolled")
    subject = draft.member(subject_key)
    if subject is None:
        raise Refused(Reason.NOT_ENROLLED, "the subject is not enrolled")
    key = rating_key(subject_key, actor.key, category_code)
    old = draft.get(key)
    replaced, is_new = (old.points, 0) if isinstance(old, Rating) else (0, 1)
    draft.put(key, Rating(points, draft.height))
    draft.put(
        b"m" + subject_key,
        Member(
            subject_key,
            subject.enrolled_height,
            subject.nonce,
            subject.points + points - replaced,
            subject.ratings + is_new,
        ),
    )
    draft.put(
        b"m" + actor.key,
        Member(actor.key, actor.enrolled_height, actor.nonce + 1, actor.points, actor.ratings),
    )


_Rule: TypeAlias = Callable[[Draft, Transaction, Member | None], None]
_RULES: dict[type[Action], _Rule] = {Enrol: _enrol, Rate: _rate}


def genesis_records(genesis: Genesis) -> dict[bytes, Record]:
    """The state at height 0."""
    policy = genesis.policy
    return {POLICY_KEY: PolicyInForce(policy.version, policy.digest()), VALIDATORS_KEY: genesis_validators(genesis)}


def member_summary(policy: Policy, member: Member) -> dict[str, Any]:
    """What people see of a member: score, tier and what they follow from."""
    score = policy.score(member.points)
    return {
        "score": score,
        "tier": policy.tier(score).name,
        "points": member.points,
        "ratings": member.ratings,
        "enrolled_height": member.enrolled_height,
        "nonce": member.nonce,
    }
