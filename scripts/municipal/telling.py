"""What happened, in sentences for people."""

from __future__ import annotations

from collections import Counter

from chain.content.actions import STRIKE
from scripts.municipal.cast import Company
from scripts.recount.book import Book, Event
from scripts.recount.lives import COUNTING, DISPUTED, Row
from scripts.recount.rules import Recount

# What is filed comes in dozens: it is counted, not told.
_RECORD = {
    "objected": "{who} objects to record {number}: its points are suspended",
    "stated": "{who} puts words of its own beside record {number}",
    "maintained": "objection of {who} to record {number}: the agency maintains it, with a written reason",
    "appealed": "{who} appeals against the ruling on record {number}: three others are to decide",
    "reopened": "record {number} about {who} is about conduct of a record that ended: there is new evidence",
    "withdrawn": "objection of {who} to record {number}: the agency withdraws it",
    "corrected": "record {number} about {who} is corrected for the better",
    "silence": "objection of {who} to record {number}: the agency was silent, struck",
    "struck": "objection of {who} to record {number}: the ruling is for the member, struck",
    "upheld": "objection of {who} to record {number}: the ruling upholds the record",
    "unruled": "objection of {who} to record {number}: the arbiter was silent, struck",
    "repair asked": "{who} asks for repair of record {number}",
    "repair referred": "{who} asks again for repair of record {number}: an arbiter is to decide",
    "repaired": "repair of record {number} about {who}: approved, it is gone",
    "repaired by silence": "repair of record {number} about {who}: nobody answered, it is gone",
    "repair declined": "repair of record {number} about {who}: declined",
    "expired": "record {number} about {who} has expired by itself",
}
_IDENTITY = {
    "rotated": "{who} moves to a new key, and its history follows",
    "suspended": "{who} may not file any more: too many of its records were overturned",
    "guarded": "{who} names guardians, as a commitment that tells nobody who they are",
    "recovery asked": "{who} has lost its key: its guardians name another; the delay runs",
    "recovered": "{who} has its new key, and its history with it",
    "leaving": "{who} withdraws its consent; the notice runs",
    "left": "{who} is gone: entry, score and records; a hash of its key stays for a while",
}
_MOTION = {
    "carried": "the validators carry a motion to {what}",
    "motion lapsed": "a motion to {what} lapses: too few approved in time",
}


def sentence_of(event: Event, paper: Recount, cast: Company) -> str:
    """The event as a sentence; empty where it is not worth one."""
    what, about = event.what, event.about
    if what in _RECORD:
        member, number = about
        return _RECORD[what].format(who=cast.name(member), number=number)
    if what == "lots were drawn":
        return _lot(paper, cast, *about)
    if what == "voted":
        member, number, arbiter, verdict = about
        mind = "struck" if verdict == STRIKE else "upheld"
        return f"appeal of {cast.name(member)} on record {number}: {cast.name(arbiter)} would have it {mind}"
    if what in _IDENTITY:
        return _IDENTITY[what].format(who=cast.name(about))
    if what in _MOTION:
        return _MOTION[what].format(what=_purpose(paper.motions[about].proposal, cast))
    return f"policy {about} is in force, and nobody stands worse than a moment before" if what == "amended" else ""


def _lot(paper: Recount, cast: Company, member: bytes, number: int) -> str:
    record = paper.record(member, number)
    names = "" if record is None else ", ".join(cast.name(who) for who in paper.drawn(record))
    return f"record {number} about {cast.name(member)}: both sides were heard; the lot names {names or 'nobody'}"


def _purpose(proposal: Row, cast: Company) -> str:
    match proposal["kind"]:
        case "accredit":
            return f"accredit {cast.name(proposal['authority'])}"
        case "judge":
            verdict = "strike" if proposal["verdict"] == 1 else "uphold"
            return f"{verdict} record {proposal['number']} about {cast.name(proposal['subject'])}, on its appeal"
        case "restore":
            return f"let {cast.name(proposal['authority'])} file again"
        case "replace validator":
            return f"give the seat of {cast.name(proposal['key'])} to {cast.name(proposal['other'])}"
        case "amend":
            return f"amend the policy; version {proposal['policy']['version']} is in force after its notice"
        case other:
            return f"{other}"


def summary_of(paper: Book) -> str:
    """Where the register stands, in half a line."""
    statuses = Counter(record.status for record in paper.all_records())
    standing, objected = (sum(statuses[name] for name in names) for names in (COUNTING, DISPUTED))
    return f"{len(paper.enrolled)} members, {standing} records that stand, {objected} under objection"
