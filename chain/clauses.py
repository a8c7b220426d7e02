"""The tables of a policy that are numbers and choices: every key with its bounds, what is usual, and what it says.

A key that a file leaves out has its usual value; of a quota that is none.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from chain.codec import U32_MAX
from chain.tables import Table

MAX_DAYS = 36_525  # a century: nothing about a person is worth keeping longer
SCORE_LIMIT = 10**12
NO_LIMIT = U32_MAX


class Key(NamedTuple):
    """One key: an integer from ``low`` to ``high``, or which of ``choices``, by its index."""

    low: int
    high: int
    usual: int
    choices: tuple[str, ...] = ()


def _choice(*choices: str) -> Key:
    return Key(0, len(choices) - 1, 0, choices)


_DAYS = Key(1, MAX_DAYS, 14)
_QUOTA = Key(1, NO_LIMIT, NO_LIMIT)


class Identity(NamedTuple):
    """Whose a key is, and how that changes (protocol 8.1 to 8.3).

    A recovery waits ``recovery_days`` for a veto, and for so long guardians can undo what a key did against them.
    ``registrar`` says whether the registrar who enrolled somebody without guardians may recover.  An annulment is
    open for ``annulment_days``; who leaves is gone after ``leave_days``, and its keys come back after ``return_days``.
    """

    recovery_days: int
    registrar: int
    annulment_days: int
    leave_days: int
    return_days: int


class Raters(NamedTuple):
    """Whose ratings count, for how long, and how they add up (protocol 8.4).

    ``counting`` is open, or asks for a receipt; ``aggregation`` is the sum, or ``scale`` times the mean.  A rating
    ages out after ``rating_days`` (0: never); its rater answers an objection within ``answer_days``.  A rater has been
    enrolled for ``age_days``, scores ``least_score`` and has at most ``most_given`` ratings that stand.  Ratings by
    fewer than ``least_raters`` count for nothing.
    """

    counting: int
    aggregation: int
    scale: int
    rating_days: int
    answer_days: int
    age_days: int
    least_score: int
    most_given: int
    least_raters: int

    @property
    def are_choosy(self) -> bool:
        """Whether not everybody may rate."""
        return self.age_days > 0 or self.least_score > -SCORE_LIMIT


class Quotas(NamedTuple):
    """How much anybody writes a day (protocol 8.5).

    ``fresh`` is a member's in its first ``fresh_days``; ``registrar`` counts enrolments that one registrar signs.
    Enrolments that no registrar signed are at most ``strangers_permille`` of a block's room.
    """

    member: int
    fresh: int
    fresh_days: int
    office: int
    registrar: int
    strangers_permille: int

    @property
    def are_unlimited(self) -> bool:
        """Whether nobody's transactions are counted."""
        return self.least == NO_LIMIT

    @property
    def least(self) -> int:
        """What anybody may write a day, whoever it is."""
        return min(self.member, self.fresh, self.office)


CLAUSES: dict[str, dict[str, Key]] = {
    "identity": {
        "recovery_days": _DAYS,
        "registrar": _choice("recovers nobody", "recovers"),
        "annulment_days": Key(1, MAX_DAYS, 20),
        "leave_days": Key(1, MAX_DAYS, 30),
        "return_days": Key(1, MAX_DAYS, 1_826),
    },
    "raters": {
        "counting": _choice("open", "receipt"),
        "aggregation": _choice("sum", "mean"),
        "scale": Key(1, 1_000_000, 1),
        "rating_days": Key(0, MAX_DAYS, 0),
        "answer_days": Key(1, MAX_DAYS, 20),
        "age_days": Key(0, MAX_DAYS, 0),
        "least_score": Key(-SCORE_LIMIT, SCORE_LIMIT, -SCORE_LIMIT),
        "most_given": _QUOTA,
        "least_raters": Key(0, U32_MAX, 0),
    },
    "quotas": {
        "member": _QUOTA,
        "fresh": _QUOTA,
        "fresh_days": _DAYS,
        "office": _QUOTA,
        "registrar": _QUOTA,
        "strangers_permille": Key(1, 1_000, 1_000),
    },
}

_Clause = TypeVar("_Clause", Identity, Raters, Quotas)


def usual(name: str, kind: type[_Clause]) -> _Clause:
    """The table as it is where a policy says nothing."""
    return kind(*(key.usual for key in CLAUSES[name].values()))


def read_clause(table: Table, name: str, kind: type[_Clause]) -> _Clause:
    """Read one of :data:`CLAUSES` of a policy.  Raises :class:`chain.tables.Mistake`."""
    keys = CLAUSES[name]
    rows = table.table(name, tuple(keys))
    return kind(*(_read(rows, field, key) for field, key in keys.items()))


def _read(rows: Table, name: str, key: Key) -> int:
    if key.choices:
        return rows.choice(name, key.choices) or 0
    return rows.integer(name, key.low, key.high, key.usual)


def clause_document(name: str, clause: Identity | Raters | Quotas) -> dict[str, int | str]:
    """A table in the shape of its file."""
    keys = CLAUSES[name]
    return {
        field: key.choices[value] if key.choices else value
        for (field, key), value in zip(keys.items(), clause, strict=True)
    }
