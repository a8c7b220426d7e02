"""Every table of the index, its columns, and what they mean: what is made, written and described follows from here.

This order is also that in which they are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

FORMAT = 1
"""Of the tables; an index of another one is made anew."""


class Kind(Enum):
    """What a column holds, as both databases call it."""

    NUMBER = "BIGINT"
    TEXT = "VARCHAR"
    FLAG = "BOOLEAN"
    TIME = "TIMESTAMP"
    DAY = "DATE"
    BYTES = "BYTEA"


class Column(NamedTuple):
    """A column, and what it means."""

    name: str
    kind: Kind
    what: str


@dataclass(frozen=True)
class Table:
    """A table; ``key`` names a row.

    Rows of a history are appended and stay, and go to Parquet by their ``day``; others follow what is the case now.
    """

    name: str
    what: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    is_history: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(column.name for column in self.columns)

    def kinds(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """What these columns hold, as a database calls it."""
        known = {column.name: column.kind.value for column in self.columns}
        return tuple(known[name] for name in names)


class View(NamedTuple):
    """What follows from tables, as a query."""

    name: str
    what: str
    columns: tuple[tuple[str, str], ...]
    query: str


def _number(name: str, what: str) -> Column:
    return Column(name, Kind.NUMBER, what)


def _text(name: str, what: str) -> Column:
    return Column(name, Kind.TEXT, what)


def _flag(name: str, what: str) -> Column:
    return Column(name, Kind.FLAG, what)


def _date(name: str, what: str) -> tuple[Column, Column]:
    """A slot of the calendar and its time, which move if there is an outage before."""
    return _number(f"{name}_slot", f"{what}, as a slot"), Column(f"{name}_time", Kind.TIME, f"{what}, in UTC")


_HEIGHT = _number("height", "of the block that it is in")
_MOMENT = (
    _number("slot", "of that block"),
    Column("time", Kind.TIME, "at which that slot begins, in UTC"),
    Column("day", Kind.DAY, "of that time"),
)
_MEMBER = _text("member", "whom it is about: its first key, as in `members`")
_RECORD = _number("number", "of the record; each member's are numbered from 0")
_CATEGORY = (_text("category", "as the policy calls it"), _number("code", "of the category"))

BLOCKS = Table(
    "blocks",
    "The main chain. Only here stands also what is not final yet; it is replaced as the head moves.",
    ("height",),
    (
        _number("height", "how many blocks are below it"),
        _text("id", "SHA-256 of its header"),
        *_MOMENT,
        _text("proposer", "the validator that made it"),
        _text("parent", "the id of the block before it"),
        _number("transaction_count", "how many transactions it holds"),
        _text("state_root", "the root over the state after it"),
        _text("transaction_root", "the root over its transactions"),
        _number("mhg", "up to which height its proposer had spoken elsewhere (protocol 3.1)"),
        _number("mhp", "the highest block that had two thirds of the prevotes before it"),
        _flag("final", "whether it can no longer be undone"),
    ),
    is_history=True,
)
TRANSACTIONS = Table(
    "transactions",
    "What was signed, in final blocks.",
    ("height", "position"),
    (
        _HEIGHT,
        _number("position", "in that block, from 0"),
        *_MOMENT,
        _text("id", "SHA-256 of what was signed"),
        _text("kind", "what it does, for example `rate`, `file_record`, `object`"),
        _text("actor", "the key that signed it"),
        _text("member", "the first key of whom that key belongs to"),
        _text("subject", "whom it is about: the first key; NULL where it is about nobody"),
        _number("number", "the record, or the motion, that it is about"),
        *_CATEGORY,
        _number("points", "that it gives or corrects to"),
        _number("nonce", "how many transactions the key had signed before"),
        _text("details", "its other fields, as JSON"),
    ),
    is_history=True,
)
RECORD_EVENTS = Table(
    "record_events",
    "What became of records, step by step, in final blocks.",
    ("sequence",),
    (
        _number("sequence", "puts all of them in order"),
        _HEIGHT,
        *_MOMENT,
        _MEMBER,
        _RECORD,
        _text(
            "what",
            "filed, reopened, objected, corrected, maintained, drawn (who rules, by lot), upheld, appealed, faded,"
            " repair declined; and what ends it: withdrawn, struck, lapsed (the issuer was silent), unruled (the"
            " arbiters were), repaired, expired, forgotten (the member left)",
        ),
        _text("issuer", "the authority that filed the record: its first key"),
        *_CATEGORY,
        _number("points", "of the record, before this"),
        _text("transaction", "the id of what did it; NULL where the chain itself did, when a deadline passed"),
        _text("actor", "the key that signed that"),
    ),
    is_history=True,
)
SCORES = Table(
    "scores",
    "Where members stood after each final block that changed it; all of them where a new policy came into force.",
    ("height", "member"),
    (
        _HEIGHT,
        *_MOMENT,
        _MEMBER,
        _number("score", "by the policy in force; NULL where the member left"),
        _text("tier", "the tier that follows, caps included"),
        _number("record_points", "what the records count for"),
        _number("rated_points", "what the ratings add up to"),
        _number("policy", "the version of the policy in force"),
    ),
    is_history=True,
)
FINALITY = Table(
    "finality",
    "How blocks became final: known once the block that decided it is final too.",
    ("height",),
    (
        _number("height", "of the block that became final"),
        _text("id", "of that block"),
        _number("final_by", "the height of the block whose votes made it final"),
        _number("blocks_later", "how many blocks after it that is"),
        _number("prevotes", "the weight of the prevotes for it then; of the first set where two decide"),
        _number("precommits", "the weight of the precommits for it then"),
        _number("threshold", "the weight that either needed"),
        _number("speakers", "how many validators had spoken at its height"),
        Column("day", Kind.DAY, "of the block that decided it"),
    ),
    is_history=True,
)
MEMBERS = Table(
    "members",
    "Who is enrolled, and where each stands.",
    ("member",),
    (
        _text("member", "its first key, which is its name in all tables"),
        _text("key", "the key that it has now"),
        _number("score", "by the policy in force"),
        _text("tier", "the tier that follows, caps included"),
        _number("record_points", "what its records count for"),
        _number("records", "how many records stand"),
        _number("suspended", "how many records are under objection and do not count"),
        _number("rated_points", "what its ratings add up to"),
        _number("ratings", "how many ratings stand"),
        _number("enrolled_height", "the block in which it enrolled"),
        _number("consented_policy", "the version of the policy that it consented to"),
        _text("registrar", "the first key of who enrolled it; NULL where nobody did"),
    ),
)
RECORDS = Table(
    "records",
    "Records that stand or are suspended; those that ended are in `record_events`.",
    ("member", "number"),
    (
        _MEMBER,
        _RECORD,
        _text("issuer", "the authority that filed it: its first key"),
        *_CATEGORY,
        _number("points", "that it gives or takes, as recorded"),
        _number("worth", "what is left of them"),
        _text("status", "standing, objected, maintained, …: whose turn it is"),
        _flag("counts", "whether its points are part of the score"),
        _flag("disputed", "whether an objection or an appeal is open"),
        _flag("upheld", "whether an arbiter upheld it"),
        _flag("appealed", "whether an appeal is open"),
        _flag("reopened", "whether it is about conduct of a record that had ended"),
        _text("severity", "as the policy calls it"),
        _text("tier_cap", "the highest tier that it leaves to the member"),
        _number("policy", "the version of the policy that it was filed under"),
        _number("height", "the block in which it was filed"),
        *_date("established", "when the conduct was established"),
        *_date("expires", "when it ends by itself"),
        *_date("repair", "from when on it can be repaired"),
        *_date("appeal", "until when it can be appealed"),
        *_date("halves", "when half of what is left of its points goes"),
        *_date("deadline", "until when somebody has to act"),
        _text("waits_for", "who has to act, in words"),
        _text("evidence", "SHA-256 of the evidence"),
        _text("reason", "SHA-256 of the reason"),
        _text("grounds", "SHA-256 of the objection's or the appeal's grounds"),
        _text("statement", "SHA-256 of the member's own statement"),
        _text("proof", "SHA-256 of the proof of repair"),
    ),
)
RATINGS = Table(
    "ratings",
    "What members say of one another, as it stands.",
    ("subject", "rater", "code"),
    (
        _text("subject", "whom it is about: the first key"),
        _text("rater", "who says it: the first key"),
        *_CATEGORY,
        _number("points", "that it gives or takes"),
        _number("height", "the block in which it was last said"),
        _text("status", "standing, disputed or answered"),
        *_date("expires", "when it ends by itself"),
        *_date("deadline", "until when the rater has to give a reason"),
        _text("grounds", "SHA-256 of the objection's grounds"),
        _text("reason", "SHA-256 of the rater's reason"),
    ),
)
AUTHORITIES = Table(
    "authorities",
    "Accredited institutions, and how their records held.",
    ("authority",),
    (
        _text("authority", "its first key"),
        _text("key", "the key that it has now"),
        _text("status", "active, suspended or revoked"),
        _text("rights", "beside filing, as JSON"),
        _text("categories", "in which it may file, as JSON"),
        _number("from_slot", "the slot in which its term begins"),
        _number("until_slot", "the slot in which its term ends; NULL where no chain reaches it"),
        _number("filed", "how many records it filed"),
        _number("withdrawn", "how many of them it withdrew"),
        _number("decided", "how many contested adverse ones were decided"),
        _number("overturned", "how many of those fell"),
        _number("decided_in_window", "the same, of those that count against it now"),
        _number("overturned_in_window", "the same, of those that count against it now"),
    ),
)
MOTIONS = Table(
    "motions",
    "What validators decide together.",
    ("number",),
    (
        _number("number", "motions are numbered from 0"),
        _text("status", "open, carried or lapsed"),
        _text("kind", "what kind of proposal it is"),
        _text("proposes", "the proposal in words"),
        _text("about", "the keys that it is about, as JSON"),
        _text("proposer", "the validator that made it"),
        _number("height", "the block in which it was made"),
        _text("approvals", "the validators that approve, as JSON"),
        _number("closed_height", "the block in which it ended"),
        *_date("expires", "when it lapses, while it is open"),
    ),
)
POSITION = Table(
    "position",
    "One row: up to where all tables go. It moves in the transaction that writes their rows.",
    (),
    (
        _number("format", "of these tables"),
        _text("genesis", "the chain's id"),
        _number("height", "the newest final block that was indexed"),
        _text("id", "of that block"),
        _number("slot", "of that block"),
        Column("day", Kind.DAY, "of that block: what is of days before is complete"),
        Column("votes", Kind.BYTES, "the votes after that block, as a node stores them"),
    ),
)
STATE = Table(
    "state",
    "The state after that block, as a node stores it: the index goes on from it. Nothing to analyse.",
    ("key",),
    (
        Column("key", Kind.BYTES, "the key of an entry (protocol 1.5)"),
        Column("value", Kind.BYTES, "the entry"),
    ),
)
TABLES = (
    *(BLOCKS, TRANSACTIONS, RECORD_EVENTS, SCORES, FINALITY),
    *(MEMBERS, RECORDS, RATINGS, AUTHORITIES, MOTIONS, POSITION, STATE),
)
HISTORIES = tuple(table for table in TABLES if table.is_history)

DISPUTES = View(
    "disputes",
    "One row an objection or an appeal, with how it ended; from `record_events`.",
    (
        ("member", "who disputes"),
        ("number", "the record"),
        ("kind", "objected, or appealed"),
        ("issuer", "the authority that filed the record"),
        ("category", "of the record"),
        ("code", "of that category"),
        ("points", "that are disputed"),
        ("opened_height", "the block that opened it"),
        ("opened", "when that was, in UTC"),
        ("closed_height", "the block that ended it; NULL while it is open"),
        ("closed", "when that was, in UTC"),
        ("outcome", "what ended it: upheld, struck, withdrawn, corrected, lapsed, …"),
    ),
    """
SELECT o.member, o.number, o.what AS kind, o.issuer, o.category, o.code, o.points,
       o.height AS opened_height, o.time AS opened, c.height AS closed_height, c.time AS closed, c.what AS outcome
FROM record_events o
LEFT JOIN (
    SELECT a.sequence AS opened, min(z.sequence) AS closed
    FROM record_events a JOIN record_events z ON a.member = z.member AND a.number = z.number
    WHERE a.sequence < z.sequence AND z.what NOT IN ('maintained', 'drawn', 'faded')
    GROUP BY a.sequence
) p ON p.opened = o.sequence
LEFT JOIN record_events c ON c.sequence = p.closed
WHERE o.what IN ('objected', 'appealed')
""",
)
VIEWS = (DISPUTES,)
