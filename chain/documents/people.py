"""Members, ratings and records as documents: dicts for JSON, the same from a running node and from a home on disk.

Heights, slots and counts are integers, keys are dids, digests and ids are hexadecimal, times are those at which slots
begin (ISO 8601, UTC).  A member or an authority is named by the key that it has now.  What there is none of is None.

Where a state is damaged, everything raises :class:`chain.base.errors.InvariantBroken`, or what its view does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from chain.base.keys import did_from_key
from chain.content.identities import ANNULMENT_STATUS_NAMES, ANNULMENTS, Annulment
from chain.documents.words import (
    annulment_waits_for,
    category_name,
    duration,
    fading_in_words,
    time_of,
    waits_for,
)
from chain.register.arbiters import annulment_case, drawn, record_case
from chain.register.entries import RATING_STATUS_NAMES, STATUS_NAMES, Attributes, Member, Rating, Record
from chain.register.scores import Line, explain, standing
from chain.register.statekeys import (
    MEMBERS,
    RATINGS,
    RECORDS,
    attributes_key,
    member_key,
    read_identity,
    read_rating_key,
    read_record_key,
    record_key,
)
from chain.register.view import StateView

# More than anybody reads of a running node; the newest come first.
MAX_SHOWN = 100
# Numbers of records that ended are gaps; past so many numbers a running node looks no further in its own turn.
MAX_LOOKED_AT = 1_000
_SLOT = re.compile(r"\bslot (-?\d+)")

Document: TypeAlias = dict[str, Any]
Row: TypeAlias = tuple[bytes, int, Record]
"""Whom a record is about, its number, and the record."""


def as_of(view: StateView) -> Document:
    """As of which height an answer is, and whether that is final."""
    return {"as_of_height": view.height, "final": view.is_final}


# ------------------------------------------------------------------------------------------------ members


def members(view: StateView) -> Iterator[tuple[bytes, Member]]:
    """All members by their identities."""
    return ((read_identity(key), member) for key, member in view.entries(MEMBERS, Member))


def member_document(view: StateView, identity: bytes, member: Member) -> Document:
    """Where a member stands, and what that follows from."""
    score, level, tier = standing(view.policy, member)
    reached = view.policy.level(score)
    return {
        "member": did_from_key(member.key),
        **({} if identity == member.key else {"first_key": did_from_key(identity)}),
        "score": score,
        "tier": tier,
        **({} if level == reached else {"tier_without_cap": view.policy.tier(reached).name}),
        "record_points": member.record_points,
        "records": member.standing,
        "suspended": member.suspended,
        "rated_points": member.rated_points,
        "ratings": member.ratings,
        "enrolled_height": member.enrolled_height,
        "consented_policy": member.policy_version,
    }


def rating_document(view: StateView, other: str, key: bytes, rating: Rating) -> Document:
    """A rating that stands; ``other`` says who is named in it, the ``rater`` or the ``subject``."""
    subject, rater, category = read_rating_key(key)
    return {
        other: did_of(view, rater if other == "rater" else subject),
        "category": category_name(view.policy, category),
        "points": rating.points,
        "height": rating.height,
        "status": RATING_STATUS_NAMES[rating.status],
        **moment(view, "expires", rating.expires_slot),
        **moment(view, "deadline", rating.deadline_slot),
        "grounds": rating.grounds.hex() or None,
        "reason": rating.reason.hex() or None,
    }


def explanation(view: StateView, identity: bytes, member: Member, limit: int | None = None) -> list[Document]:
    """Every point of a member's score, with a line for each of its first ``limit`` ratings.

    Raises :class:`InvariantBroken` where they do not add up to it.
    """
    records = ((read_record_key(key)[1], record) for key, record in view.entries(RECORDS + identity, Record))
    ratings = ((*read_rating_key(key)[1:], rating) for key, rating in view.entries(RATINGS + identity, Rating))
    return [_line_document(view, identity, line) for line in explain(view.policy, member, records, ratings, limit)]


def _line_document(view: StateView, identity: bytes, line: Line) -> Document:
    document: Document = {"kind": line.kind, "points": line.points}
    if line.category >= 0:
        document["category"] = category_name(view.policy, line.category)
    if line.record is not None:
        record = record_document(view, identity, line.number, line.record)
        return {
            **document,
            **{name: record[name] for name in record if name not in ("member", "points")},
            "points_recorded": line.record.points,
        }
    if line.rating is not None:
        return {**document, "rater": did_of(view, line.rater), "height": line.rating.height}
    return {**document, "policy": view.policy.version}


# ------------------------------------------------------------------------------------------------ records


def records_document(view: StateView, key: bytes) -> Document:
    """The newest records about whoever's key this is, as a running node tells them; none about a stranger.

    ``more`` is silent about records further back than :data:`MAX_LOOKED_AT` numbers.
    """
    return listed_records(view, records_about(view, view.identity(key), MAX_LOOKED_AT), MAX_SHOWN)


def listed_records(view: StateView, rows: Iterator[Row], limit: int) -> Document:
    """The first ``limit`` of these records, and whether there are more: not how many, there can be millions."""
    found = list(islice(rows, limit + 1))
    return {
        **as_of(view),
        "more": len(found) > limit,
        "records": [record_document(view, *row) for row in found[:limit]],
    }


def records_about(view: StateView, identity: bytes, look_at: int | None = None) -> Iterator[Row]:
    """The records about one member, the newest first; of the newest ``look_at`` numbers, or of all."""
    member = view.get(member_key(identity))
    if not isinstance(member, Member):
        return
    left = member.standing + member.suspended
    first = 0 if look_at is None else max(0, member.filed - look_at)
    for number in range(member.filed - 1, first - 1, -1):
        if not left:
            return
        record = view.get(record_key(identity, number))
        if isinstance(record, Record):
            left -= 1
            yield identity, number, record


def all_records(view: StateView) -> Iterator[Row]:
    """All records that stand or are suspended, by member and number."""
    return ((*read_record_key(key), record) for key, record in view.entries(RECORDS, Record))


def record_document(view: StateView, subject: bytes, number: int, record: Record) -> Document:
    """A record that stands or is suspended; what is left of its deadline is counted from the newest block."""
    policy = view.policy
    return {
        "member": did_of(view, subject),
        "number": number,
        "issuer": did_of(view, record.issuer),
        "category": category_name(policy, record.category),
        "code": record.category,
        "points": record.points,
        "worth": record.worth,
        "status": STATUS_NAMES[record.status],
        "counts": record.counts,
        "disputed": record.is_disputed,
        "upheld": bool(record.upheld),
        "appealed": record.is_appealed,
        "reopened": bool(record.is_reopened),
        "severity": policy.severities[record.severity - 1].name if record.severity else None,
        "tier_cap": policy.tier(record.cap).name if record.cap >= 0 else None,
        "policy": record.policy_version,
        "height": record.height,
        "established_slot": record.established_slot,
        "established_time": time_of(view.genesis, record.established_slot),
        **moment(view, "expires", record.expires_slot),
        **moment(view, "repair", record.repair_slot),
        **moment(view, "appeal", record.appeal_slot),
        **moment(view, "halves", record.halves_slot),
        "fading": _fading(view, record),
        **moment(view, "deadline", record.deadline_slot),
        "waits_for": waits_for(record),
        "left": time_left(view, record.deadline_slot) if record.deadline_slot else None,
        "arbiters": [did_of(view, who) for who in drawn(view, record_case(subject, number, record), view.slot)],
        "evidence": record.evidence.hex(),
        "reason": record.reason.hex() or None,
        "grounds": record.grounds.hex() or None,
        "statement": record.statement.hex() or None,
        "proof": record.proof.hex() or None,
    }


def _fading(view: StateView, record: Record) -> str | None:
    """Why a record counts for less than was recorded, and when it will again; None where its points stay."""
    date = view.date(record.halves_slot) if record.halves_slot else None
    return fading_in_words(view.genesis, record, date)


# ------------------------------------------------------------------------------------------------ enrolments


def annulments(view: StateView) -> Iterator[tuple[bytes, Annulment]]:
    """All annulments that are open, by the identities of whom they are about."""
    return ((read_identity(key), annulment) for key, annulment in view.entries(ANNULMENTS, Annulment))


def attribute_documents(view: StateView, identity: bytes) -> list[Document]:
    """What is attested of a member, as far as its date has not come."""
    entry: Attributes | None = view.get(attributes_key(identity))
    return [
        {
            "attribute": category_name(view.policy, each.attribute),
            "code": each.attribute,
            "issuer": did_of(view, each.issuer),
            "digest": each.digest.hex(),
            "height": each.height,
            **moment(view, "expires", each.expires_slot),
            "left": time_left(view, each.expires_slot),
        }
        for each in (entry.held if entry is not None else ())
        if view.date(each.expires_slot) > view.slot
    ]


def annulment_document(view: StateView, identity: bytes, annulment: Annulment) -> Document:
    """An enrolment that is said to be void."""
    return {
        "member": did_of(view, identity),
        "registrar": did_of(view, annulment.registrar),
        "status": ANNULMENT_STATUS_NAMES[annulment.status],
        "appealed": annulment.is_appealed,
        **moment(view, "deadline", annulment.due_slot),
        "waits_for": annulment_waits_for(annulment),
        "left": time_left(view, annulment.due_slot),
        "arbiters": [did_of(view, who) for who in drawn(view, annulment_case(identity, annulment), view.slot)],
        "reason": annulment.reason.hex(),
        "grounds": annulment.grounds.hex() or None,
    }


# ------------------------------------------------------------------------------------------------ parts


def did_of(view: StateView, identity: bytes) -> str:
    """The did of the key that a member or an authority has now."""
    return did_from_key(view.current_key(identity))


def time_left(view: StateView, slot: int) -> str:
    """What is left until a slot of registry time."""
    return duration((view.date(slot) - view.slot) * view.genesis.slot_ms)


def moment(view: StateView, name: str, slot: int) -> Document:
    """A slot of registry time as a date, as it is without another outage; none for 0."""
    if not slot:
        return {f"{name}_slot": None, f"{name}_time": None}
    return {f"{name}_slot": view.date(slot), f"{name}_time": time_of(view.genesis, view.date(slot))}
