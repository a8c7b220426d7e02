"""The language of policies: every field of every table, its bounds, what is usual, and what it does.

How a file is read, how a policy is encoded, what an amendment worsens and the reference for people
(``scripts/docs/policy.md``) all follow from these tables.  Source: protocol 6.3.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from chain.base.codec import U32_MAX
from chain.content.actions import POINTS_LIMIT
from chain.content.tables import MAX_TEXT_CHARACTERS, Table

LANGUAGE = 2

MAX_DAYS = 36_525  # a century: nothing about a person is worth keeping longer
SCORE_LIMIT = 10**12
NO_LIMIT = U32_MAX
MAX_TIERS = 32
MAX_SEVERITIES = 8
# Of attributes that a member can have: one entry of the state holds all of them.
MAX_ATTRIBUTES = 16
# Of each kind.  The catalogue of a whole city fits, and one who reads a motion can still judge it.
MAX_CATEGORIES = 256

_DAY_MS = 86_400_000

NUMBER: Final = "number"
CHOICE: Final = "choice"
FLAG: Final = "flag"
TEXT: Final = "text"
TIER: Final = "tier"
SEVERITIES: Final = "severities"
TABLE: Final = "table"
ROWS: Final = "rows"
# What a table holds by itself, and what names something elsewhere in the file.
_PLAIN = (NUMBER, CHOICE, FLAG, TEXT)


class Field(NamedTuple):
    """One field of a table.

    A number is from ``low`` to ``high``, in ``unit``; a choice is one of ``choices`` and counts as its index; of rows
    there are at most ``high``.  ``usual`` is what holds where a file says nothing; None must be given.  ``worse`` is 1
    where a higher value is the worse one for members, -1 where a lower one is.  One that ``is_later`` than the language
    comes last in its table, and where it is as usual it is not encoded: what was signed before stays what it is.
    """

    name: str
    kind: str
    effect: str
    unit: str = ""
    low: int = 0
    high: int = 0
    usual: int | None = None
    choices: tuple[str, ...] = ()
    worse: int = 0
    example: str = ""
    is_later: bool = False


def _days(name: str, usual: int, effect: str, worse: int = 0, low: int = 1) -> Field:
    return Field(name, NUMBER, effect, "days", low, MAX_DAYS, usual, worse=worse)


def _quota(name: str, effect: str, unit: str, worse: int = 0, example: str = "50") -> Field:
    return Field(name, NUMBER, effect, unit, 1, NO_LIMIT, NO_LIMIT, worse=worse, example=example)


def _choice(name: str, choices: tuple[str, ...], effect: str, worse: int = 0) -> Field:
    return Field(name, CHOICE, effect, high=len(choices) - 1, usual=0, choices=choices, worse=worse)


def _flag(name: str, effect: str) -> Field:
    return Field(name, FLAG, effect, usual=0)


def _name(effect: str, example: str) -> Field:
    return Field("name", TEXT, effect, f"1 to {MAX_TEXT_CHARACTERS} characters", example=example)


def _points(name: str, effect: str, example: str) -> Field:
    return Field(name, NUMBER, effect, "points", -POINTS_LIMIT, POINTS_LIMIT, example=example)


def _code(effect: str) -> Field:
    return Field("code", NUMBER, effect, "code", 0, U32_MAX, example="7")


def _score(name: str, effect: str, low: int, high: int, usual: int | None = None, example: str = "") -> Field:
    return Field(name, NUMBER, effect, "points", low, high, usual, example=example)


def _table(name: str, effect: str) -> Field:
    return Field(name, TABLE, effect)


def _rows(name: str, limit: int, effect: str) -> Field:
    return Field(name, ROWS, effect, high=limit)


# Every table, and its fields in the order in which they are encoded.
TABLES: Final[dict[str, tuple[Field, ...]]] = {
    "policy": (
        Field("language", NUMBER, "The language of the file.", "", LANGUAGE, LANGUAGE, example=str(LANGUAGE)),
        _name("What the policy is called. An amendment keeps it.", '"suppliers"'),
        Field("version", NUMBER, "Its version; each amendment counts one on.", "", 1, U32_MAX, example="1"),
        Field(
            "day_ms", NUMBER,
            "How long a day of this policy lasts. Shorter ones are for rehearsals. An amendment keeps it.",
            "milliseconds", 1, _DAY_MS, _DAY_MS,
        ),
        _choice(
            "enrolment", ("open", "registrar"),
            "Who may become a member: anybody, or whoever a registrar signs for too. Opening it is worse.",
        ),
        _table("score", "What a score begins with, and what ratings may do to it."),
        _table("periods", "How long everybody has."),
        _table("authorities", "When an authority may file no more."),
        _table("rights", "What those who are recorded can count on."),
        _rows("tier", MAX_TIERS, "The bands of scores, from the highest down. The last one has no lower end."),
        _rows("severity", MAX_SEVERITIES, "How long records count; categories choose among them."),
        _rows("category", MAX_CATEGORIES, "What authorities may record. Nothing else can be recorded."),
        _rows("rating", MAX_CATEGORIES, "In what members rate members."),
        _table("identity", "Whose a key is, and how that changes."),
        _table("raters", "Whose ratings count, for how long, and how they add up."),
        _table("quotas", "How much anybody may write."),
        _rows("attribute", MAX_ATTRIBUTES, "What authorities attest of members for a while. Points follow from none.")
        ._replace(is_later=True),
    ),
    "score": (
        _score("base", "The score of a member about whom nothing is recorded. It never gets lower.",
               -SCORE_LIMIT, SCORE_LIMIT, example="1000"),
        _score("ratings_floor", "All ratings together take at most so much.", -SCORE_LIMIT, 0, example="-50"),
        _score("ratings_cap", "All ratings together give at most so much.", 0, SCORE_LIMIT, example="50"),
    ),
    "periods": (
        _days("answer_days", 20, "An objection that is not answered for so long strikes the record.", 1),
        _days("ruling_days", 20, "A maintained record that nobody rules on for so long is struck.", 1),
        _days("repair_answer_days", 20, "A repair that is not answered for so long is approved.", 1),
        _days("motion_days", 30, "A motion lapses after so long."),
        _days("notice_days", 30, "An amendment is announced so long before it binds.", -1),
        _days("retention_days", 1_826, "Whatever its severity, a record ends so long after the conduct.", 1),
        _days("bodies_days", 365, "Nodes that are pruned keep what blocks said for so long; their headers stay.", 1)
        ._replace(is_later=True),
    ),
    "authorities": (
        Field(
            "overturned_permille", NUMBER,
            "An authority is suspended once more of its contested adverse records were overturned.",
            "in 1000", 0, 1_000, 1_000, worse=1, example="500",
        ),
        Field(
            "overturned_minimum", NUMBER, "… and at least so many were decided.",
            "records", 1, U32_MAX, 1, worse=1, example="4",
        ),
    ),
    "rights": (
        _days("lookback_days", 0, "Conduct from so long before an enrolment may be recorded.", 1, low=0),
        _days("hearing_days", 5, "Both sides are heard for so long before an arbiter is drawn.", -1),
        _days("appeal_days", 20, "What an arbiter upheld can be appealed for so long.", -1),
        _days("disputed_days", 10, "Where a record counts while disputed, answers and rulings take no longer.", 1),
        _days("window_days", 365, "An authority's errors are counted over so long.", -1),
        _days("worse_notice_days", 60, "An amendment that worsens anything is announced so long before.", -1),
    ),
    "tier": (
        _name("What the tier is called.", '"A"'),
        _score("from", "The lowest score in it. An amendment never raises it.", -SCORE_LIMIT, SCORE_LIMIT,
               example="960"),
        Field(
            "cap_records", NUMBER,
            "So many standing records whose categories cap at this tier it takes until the cap holds, of whichever "
            "categories. An amendment never lowers it.",
            "records", 1, U32_MAX, 1, example="3",
        ),
    ),
    "severity": (
        _name("What the severity is called.", '"serious"'),
        Field(
            "repair_after_days", NUMBER,
            "The member may ask for repair so long after the conduct; at most retention_days.",
            "days", 0, MAX_DAYS, worse=1, example="365",
        ),
        Field(
            "expires_after_days", NUMBER,
            "The record ends by itself so long after the conduct; at least repair_after_days, at most retention_days.",
            "days", 1, MAX_DAYS, worse=1, example="1095",
        ),
    ),
    "category": (
        _code("What records and accreditations name it by."),
        _name("What people call it.", '"late delivery"'),
        _points("min", "The fewest points that a record gives; below zero it takes some.", "-30"),
        _points("max", "The most points that a record gives; at least min.", "-10"),
        _score("floor", "All its standing records together take at most so much. An amendment keeps it.",
               -SCORE_LIMIT, 0, -SCORE_LIMIT, "-100"),
        _score("ceiling", "All its standing records together give at most so much. An amendment keeps it.",
               0, SCORE_LIMIT, SCORE_LIMIT, "30"),
        Field(
            "severities", SEVERITIES,
            "Which severities its records may have. With none, a record is never repaired and ends with the retention.",
            example='["minor", "serious"]',
        ),
        _flag("reason", "Whether a record carries the digest of a written reason."),
        Field("tier_cap", TIER, "A member with a standing record is at most in this tier.", example='"C"'),
        _flag("closed", "Whether it takes no new records. The old ones stand."),
        _choice(
            "interim", ("suspended", "stands"),
            "Whether a record counts while an objection to it is open. Standing is worse.",
        ),
        _days(
            "half_life_days", 0,
            "Of each new record half the points are left so long after the conduct, a quarter after twice so long, and "
            "so on, rounded towards 0; 0: it counts whole until it ends. What takes points worsens where this is "
            "longer, what gives some where it is shorter.",
            low=0,
        )._replace(is_later=True),
    ),
    "rating": (
        _code("What ratings name it by."),
        _name("What people call it.", '"trade"'),
        _points("min", "The fewest points that a rating gives.", "-10"),
        _points("max", "The most points that a rating gives; at least min.", "10"),
        _flag("closed", "Whether it takes no new ratings. The old ones count until they age out."),
    ),
    "attribute": (
        _code("What attests and accreditations name it by; no category has the same one."),
        _name("What people call it. An amendment keeps it.", '"trade licence"'),
        _days("valid_days", 366, "It ends at its date, and that is no later than so long after it was attested."),
        _flag("closed", "Whether it is attested no more. The old ones last until their dates."),
    ),
    "identity": (
        _days("recovery_days", 14, "A recovery waits so long for a veto; so long guardians can undo a rotation.", -1),
        _choice(
            "registrar", ("recovers nobody", "recovers"),
            "Whether the registrar who enrolled somebody without guardians may recover the key.", 1,
        ),
        _days("annulment_days", 20, "Both are heard so long about an annulment before an arbiter is drawn.", -1),
        _days("leave_days", 30, "Who leaves is gone after so long; at least recovery_days.", 1),
        _days("return_days", 1_826, "The keys of who left can enrol again after so long.", 1),
    ),
    "raters": (
        _choice(
            "counting", ("open", "receipt"),
            "Whether anybody rates anybody, or only a dealing that the rated member signed too.",
        ),
        _choice("aggregation", ("sum", "mean"), "Whether ratings add up, or count as scale times their mean."),
        Field("scale", NUMBER, "What the mean is multiplied by, as points are whole.", "", 1, 1_000_000, 1,
              example="100"),
        _days("rating_days", 0, "A rating ends after so long; 0: never.", low=0),
        _days("answer_days", 20, "A rating whose rater gives no reason for so long after an objection falls.", 1),
        _days("age_days", 0, "Who rates has been a member for so long.", low=0),
        _score("least_score", "Who rates has at least this score.", -SCORE_LIMIT, SCORE_LIMIT, -SCORE_LIMIT, "0"),
        _quota("most_given", "So many ratings of one rater stand at a time.", "ratings"),
        Field("least_raters", NUMBER, "Ratings by fewer raters count for nothing.", "raters", 0, U32_MAX, 0,
              example="3"),
    ),
    "quotas": (
        _quota("member", "What a member may write.", "transactions a day", -1),
        _quota("fresh", "The same, in the first fresh_days after the enrolment.", "transactions a day", -1, "20"),
        _days("fresh_days", 14, "How long a member is fresh.", 1),
        _quota("office", "What an authority may write.", "transactions a day", example="5000"),
        _quota("registrar", "How many enrolments a registrar may sign.", "enrolments a day", example="500"),
        Field(
            "strangers_permille", NUMBER, "Enrolments that no registrar signed take at most this share of a block.",
            "in 1000", 1, 1_000, 1_000, example="250",
        ),
    ),
}  # fmt: skip

_BY_NAME: Final = {table: {field.name: field for field in fields} for table, fields in TABLES.items()}
# Periods that are the member's time, not the office's.
LONGER_IS_BETTER: Final = frozenset(
    field.name for table in ("periods", "rights", "identity") for field in TABLES[table] if field.worse < 0
)


def names(table: str) -> tuple[str, ...]:
    """The names of a table's fields."""
    return tuple(_BY_NAME[table])


def field_of(table: str, name: str) -> Field:
    """One field."""
    return _BY_NAME[table][name]


# --------------------------------------------------------------------------------------------------- documents


def read_plain(table: Table, name: str, **tighter: tuple[int, int]) -> dict[str, Any]:
    """The numbers, choices (as indices), flags and texts of a table, under other bounds where they depend on others.

    Raises :class:`chain.content.tables.Mistake`.
    """
    return {
        field.name: read_field(table, field, *tighter.get(field.name, (field.low, field.high)))
        for field in TABLES[name]
        if field.kind in _PLAIN
    }


def read_field(table: Table, field: Field, low: int, high: int) -> Any:
    """What a table says in one field.  Raises :class:`chain.content.tables.Mistake`."""
    match field.kind:
        case "number":
            return table.integer(field.name, low, high, field.usual)
        case "choice":
            return table.choice(field.name, field.choices) or 0
        case "flag":
            return table.flag(field.name)
        case _:
            return table.text(field.name)


def in_words(field: Field, value: Any) -> Any:
    """The value of a field as its file has it."""
    return field.choices[value] if field.choices else value


# --------------------------------------------------------------------------------------------------- the wire


def to_wire(name: str, value: Any) -> Any:
    """A table as the tuple of its fields, a text as bytes, true as 1; what is left out as the empty text."""
    match value:
        case dict():
            return tuple(to_wire(field.name, value.get(field.name, "")) for field in _encoded(name, value))
        case list():
            return tuple(to_wire(name, item) for item in value)
        case str():
            return value.encode()
        case _:
            return int(value)


def _encoded(name: str, table: dict[str, Any]) -> tuple[Field, ...]:
    *earlier, last = fields = TABLES[name]
    is_usual = last.is_later and table.get(last.name, last.usual) == last.usual
    return tuple(earlier) if is_usual else fields


def from_wire(name: str, row: Any) -> Any:
    """The table that :func:`to_wire` was given, as far as ``row`` has its shape; what is in it is not checked."""
    fields = TABLES[name]
    if type(row) is not tuple or not len(fields) - fields[-1].is_later <= len(row) <= len(fields):
        return row
    return {
        field.name: _field_from_wire(field, value) for field, value in zip(fields, row, strict=False) if value != b""
    }


def _field_from_wire(field: Field, value: Any) -> Any:
    match value:
        case bytes():
            return value.decode(errors="replace")
        case tuple() if field.kind == SEVERITIES:
            return [item.decode(errors="replace") if isinstance(item, bytes) else item for item in value]
        case tuple() if field.kind == ROWS:
            return [from_wire(field.name, item) for item in value]
        case tuple() if field.kind == TABLE:
            return from_wire(field.name, value)
        case 0 | 1 if field.kind == FLAG:
            return bool(value)
        case _:
            return value
