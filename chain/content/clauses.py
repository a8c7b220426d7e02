"""What a policy says in numbers and choices of people: their keys, their voices, and how much they write.

The fields are those of :data:`chain.content.language.TABLES`, in the same order.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from chain.content.language import NO_LIMIT, SCORE_LIMIT, TABLES, in_words, names, read_plain
from chain.content.tables import Table


class Identity(NamedTuple):
    """Whose a key is, and how that changes (protocol 8.1 to 8.3).

    A recovery waits ``recovery_days`` for a veto, and for so long guardians can undo what a key did against them.
    ``registrar`` says whether the registrar who enrolled somebody without guardians may recover.  About an
    annulment both are heard for ``annulment_days``; who leaves is gone after ``leave_days``, and its keys come back
    after ``return_days``.
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
        return self.member == self.fresh == self.office == NO_LIMIT

    @property
    def least(self) -> int:
        """What anybody may write a day, whoever it is."""
        return min(self.member, self.fresh, self.office)


Clause = TypeVar("Clause", Identity, Raters, Quotas)

# The tables of a policy that are kept as they are.
CLAUSES = ("identity", "raters", "quotas")


def usual(name: str, kind: type[Clause]) -> Clause:
    """The table as it is where a policy says nothing."""
    return kind(*(field.usual or 0 for field in TABLES[name]))


def read_clause(table: Table, name: str, kind: type[Clause]) -> Clause:
    """Read one of :data:`CLAUSES` of a policy.  Raises :class:`chain.content.tables.Mistake`."""
    return kind(**read_plain(table.table(name, names(name)), name))


def clause_document(name: str, clause: Identity | Raters | Quotas) -> dict[str, int | str]:
    """A table in the shape of its file."""
    return {field.name: in_words(field, value) for field, value in zip(TABLES[name], clause, strict=True)}
