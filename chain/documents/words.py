"""Words for people: proposals, changes, policies, moments and spans of time, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from chain.base.keys import did_from_key
from chain.content.actions import APPROVE, ASK, CORRECT, DECLINE, MAINTAIN, STRIKE, UPHOLD, WITHDRAW
from chain.content.amendments import worsenings
from chain.content.genesis import Genesis
from chain.content.identities import GRANTED, IN_HEARING, Annulment
from chain.content.policy import Policy
from chain.content.proposals import (
    ARBITER,
    REGISTRAR,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Judge,
    JudgeEnrolment,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    ReweighValidator,
    Suspend,
)
from chain.register.entries import DRAWN, MAINTAINED, OBJECTED, REPAIR_ASKED, REPAIR_DRAWN, REPAIR_REFERRED, Record
from chain.register.validators import ADD, JAIL, RELEASE, REMOVE, REPLACE, REWEIGH, Change
from chain.register.view import read_policy_text

_RIGHTS = ((REGISTRAR, "registrar"), (ARBITER, "arbiter"))
# What the codes of transactions mean.
ANSWERS = {CORRECT: "correct", WITHDRAW: "withdraw", MAINTAIN: "maintain"}
RULINGS = {STRIKE: "strike", UPHOLD: "uphold"}
REPAIRS = {ASK: "ask", APPROVE: "approve", DECLINE: "decline"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGES = {REMOVE: "remove", JAIL: "jail", RELEASE: "release"}
# How a row of a policy's list is called in a comparison.
_NAMED_BY = {"tier": "name", "severity": "name", "category": "code", "rating": "code", "attribute": "code"}


def _slots_in_words(from_slot: int, until_slot: int) -> str:
    """A term in slots."""
    since = f"from slot {from_slot}" if from_slot else ""
    until = f"until slot {until_slot}" if until_slot < 2**48 else "without an end"
    return f"{since} {until}".strip()


def rights_in_words(rights: int) -> list[str]:
    """The rights of an authority beside filing."""
    return [name for bit, name in _RIGHTS if rights & bit]


def category_name(policy: Policy, code: int) -> str:
    """What the policy calls a category of records or of ratings, or an attribute."""
    category = policy.categories.get(code) or policy.ratings.get(code) or policy.attributes.get(code)
    return str(code) if category is None else category.name


_WAITS_FOR = {
    OBJECTED: "the issuer's answer",
    MAINTAINED: "the end of the hearing",
    DRAWN: "an arbiter's ruling",
    REPAIR_ASKED: "the issuer's answer to the repair",
    REPAIR_REFERRED: "the end of the hearing on the repair",
    REPAIR_DRAWN: "an arbiter's ruling on the repair",
}


_PANEL = "the rulings of three arbiters, or a motion where there are too few"


def term_in_words(genesis: Genesis, from_slot: int, until_slot: int) -> str:
    """A term as dates; one that ends beyond the calendar has no end."""
    until = _moment(genesis, until_slot) if until_slot < 2**48 else None
    since = "the beginning" if from_slot == 0 else moment_of(genesis, from_slot)
    return f"{since} – " + ("no end" if until is None else moment_of(genesis, until_slot))


def waits_for(record: Record) -> str | None:
    """Whose turn it is, if anybody's."""
    if record.is_appealed and record.status == DRAWN:
        return _PANEL
    return _WAITS_FOR.get(record.status)


def fading_in_words(genesis: Genesis, record: Record, date_slot: int | None) -> str | None:
    """What is left of the points of a record, why, and what follows in a slot of the calendar; None where all stays."""
    if not record.fades_slot or not (record.halvings or date_slot is not None):
        return None
    said = []
    if record.halvings:
        times = {1: "once", 2: "twice"}.get(record.halvings, f"{record.halvings} times")
        said.append(f"{record.points:+} was recorded, and halved {times} since the conduct")
    if date_slot is not None:
        after = record._replace(halvings=record.halvings + 1).worth
        said.append(f"on {moment_of(genesis, date_slot)} it halves to {after:+}")
    else:
        said.append("it ends before it halves again" if record.worth else "nothing is left of it")
    return "; ".join(said)


def annulment_waits_for(annulment: Annulment) -> str:
    """The same about an enrolment that is said to be void."""
    if annulment.status == GRANTED:
        return "the member's appeal; without one it is gone"
    if annulment.status == IN_HEARING:
        return _WAITS_FOR[MAINTAINED]
    return _PANEL if annulment.is_appealed else _WAITS_FOR[DRAWN]


def time_of(genesis: Genesis, slot: int) -> str | None:
    """When a slot begins, in UTC and to the millisecond (ISO 8601); None beyond the years 1 to 9999."""
    moment = _moment(genesis, slot)
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def moment_of(genesis: Genesis, slot: int) -> str:
    """When a slot begins, in UTC and to the minute."""
    moment = _moment(genesis, slot)
    return "beyond the calendar" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def instant(time_ms: int) -> str:
    """A moment, given in Unix milliseconds, in UTC and to the second (ISO 8601)."""
    moment = _utc(time_ms)
    return "beyond the calendar" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _moment(genesis: Genesis, slot: int) -> datetime | None:
    return _utc(genesis.slot_start_ms(slot))


def _utc(time_ms: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return None


def duration(ms: int) -> str:
    """A span of time in its two largest units, rounded up to a second."""
    if ms <= 0:
        return "none"
    seconds = -(-ms // 1000)
    for size, unit, part, part_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {part_unit}" if rest else "")
    return f"{seconds} s"


def proposal_in_words(policy: Policy, proposal: Proposal) -> str:
    """What a proposal would do; ``policy`` is the one in force."""
    match proposal:
        case Accredit(key, rights, categories, from_slot, until_slot):
            grants = [f"file {', '.join(category_name(policy, code) for code in categories)}"] if categories else []
            grants += [f"be {name}" for name in rights_in_words(rights)]
            term = _slots_in_words(from_slot, until_slot)
            return f"accredit {did_from_key(key)} to {' and '.join(grants)}, {term}"
        case Suspend(key):
            return f"suspend the authority {did_from_key(key)}"
        case Revoke(key):
            return f"revoke the authority {did_from_key(key)}"
        case Restore(key):
            return f"restore the authority {did_from_key(key)}"
        case Judge(key, number, verdict):
            return f"{RULINGS[verdict]} record {number} about {did_from_key(key)}, on its appeal"
        case JudgeEnrolment(key, verdict):
            return f"{RULINGS[verdict]} the annulment of the enrolment of {did_from_key(key)}, on its appeal"
        case Amend(base_version, effective_slot, document):
            new = read_policy_text(document)
            worse = worsenings(policy, new) if new.version == policy.version + 1 else []
            what = f", which worsens for the future: {'; '.join(worse)}" if worse else ""
            return f"replace policy {base_version} by policy {new.version} from slot {effective_slot}{what}"
        case AddValidator(key, weight):
            return f"add validator {did_from_key(key)} with weight {weight}"
        case RemoveValidator(key):
            return f"remove validator {did_from_key(key)}"
        case JailValidator(key):
            return f"jail validator {did_from_key(key)}"
        case ReleaseValidator(key):
            return f"release validator {did_from_key(key)}"
        case ReplaceValidator(key, other):
            return f"hand the seat of validator {did_from_key(key)} to {did_from_key(other)}"
        case ReweighValidator(key, weight):
            return f"give validator {did_from_key(key)} the weight {weight}"


def change_in_words(change: Change) -> str:
    """A change of the validators that waits for its turn."""
    did = did_from_key(change.key)
    if change.kind == ADD:
        return f"add {did} with weight {change.weight}"
    if change.kind == REWEIGH:
        return f"give {did} the weight {change.weight}"
    if change.kind == REPLACE:
        return f"hand the seat of {did} to {did_from_key(change.other)}"
    return f"{_CHANGES[change.kind]} {did}"


def policy_changes(old: Policy, new: Policy) -> list[tuple[str, Any, Any]]:
    """Each rule in which two policies differ: ``(where, before, after)``, None where one has no such rule."""
    before, after = dict(_flat("", old.to_document())), dict(_flat("", new.to_document()))
    names = [*before, *(name for name in after if name not in before)]
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a policy's document by their paths."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, item)
    elif isinstance(value, list) and prefix in _NAMED_BY:
        for row in value:
            yield from _flat(f"{prefix} {row[_NAMED_BY[prefix]]}", row)
    else:
        yield prefix, ", ".join(value) if isinstance(value, list) else value
