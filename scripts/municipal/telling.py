"""What happened, in sentences for people."""

from __future__ import annotations

from scripts.municipal.cast import Cast
from scripts.municipal.paper import Event

# What is filed comes in dozens: it is counted, not told.
_RECORD = {
    "objected": "{who} objects to record {number}: its points are suspended",
    "commented": "{who} puts words of its own beside record {number}",
    "maintained": "objection of {who} to record {number}: the agency maintains it, with a written reason",
    "withdrawn": "objection of {who} to record {number}: the agency withdraws it",
    "corrected": "record {number} about {who} is corrected for the better",
    "silence": "objection of {who} to record {number}: the agency was silent, struck",
    "struck": "objection of {who} to record {number}: the arbiter rules for the member, struck",
    "upheld": "objection of {who} to record {number}: the arbiter upholds the record, it stands for good",
    "unruled": "objection of {who} to record {number}: the arbiter was silent, struck",
    "repair asked": "{who} asks for repair of record {number}",
    "repaired": "repair of record {number} about {who}: the agency approves, it is gone",
    "repaired by silence": "repair of record {number} about {who}: the agency was silent, it is gone",
    "repair declined": "repair of record {number} about {who}: the agency declines",
    "expired": "record {number} about {who} has expired by itself",
}
_IDENTITY = {
    "rotated": "{who} moves to a new key, and its history follows",
    "suspended": "{who} may not file any more: too many of its records were overturned",
}
_NUMBER = {
    "carried": "motion {number} is carried by more than two thirds",
    "motion lapsed": "motion {number} lapses: too few approved in time",
    "amended": "policy {number} is in force; nobody stands worse than a moment before",
}


def sentence_of(event: Event, cast: Cast) -> str:
    """The event as a sentence; empty where it is not worth one."""
    what, about = event.what, event.about
    if what in _RECORD:
        member, number = about
        return _RECORD[what].format(who=cast.name(member), number=number)
    if what in _IDENTITY:
        return _IDENTITY[what].format(who=cast.name(about))
    return _NUMBER[what].format(number=about) if what in _NUMBER else ""
