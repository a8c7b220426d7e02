"""Questions about members and records, answered from one commit, as :mod:`chain.disk.answers` does for blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from chain.base.errors import InvariantBroken
from chain.base.keys import did_from_key
from chain.content.identities import Annulment, annulment_key
from chain.content.policy import Policy
from chain.disk.history import follow
from chain.disk.inspection import NotThere, Unclear, View
from chain.disk.past import Past
from chain.documents.people import (
    Document,
    Row,
    annulment_document,
    annulments,
    attribute_documents,
    explanation,
    member_document,
    rating_document,
    record_document,
    records_about,
)
from chain.documents.words import category_name, moment_of, time_of
from chain.register.entries import STATUS_NAMES, UPHELD_ONCE, Member, Rating, Record
from chain.register.scores import standing
from chain.register.statekeys import MEMBERS, RATINGS, RECORDS, member_key, read_identity, read_record_key, record_key

MAX_LOOKED_AT = 20_000
"""Records that one answer looks at: a few tenths of a second."""


def top(view: View, limit: int) -> Document:
    """The members with the highest scores."""
    found: list[Document] = []
    for place, (identity, score) in enumerate(view.reader.standings(limit), 1):
        rank = found[-1]["rank"] if found and found[-1]["score"] == score else place
        found.append({"rank": rank, **member_document(view.state, identity, _ranked_member(view, identity))})
    return {**view.as_ranked, "members_in_all": view.reader.count_members(), "members": found}


def all_members(view: View, after: str | None, limit: int) -> Document:
    """Members by their first keys, those after the one that ``after`` names."""
    last = b"" if after is None else member_key(view.key(after))
    rows = list(islice(view.reader.entries(MEMBERS, last), limit + 1))
    found = [(read_identity(key), entry) for key, entry in rows[:limit] if isinstance(entry, Member)]
    return {
        **view.at_state,
        "members": [member_document(view.state, *row) for row in found],
        "next": did_from_key(found[-1][0]) if len(rows) > limit else None,
    }


def member(view: View, who: str, *, given: bool = False, limit: int | None = None) -> Document:
    """One member, by any key it ever had: score, rank, and so many records and ratings of each kind.

    The percentile says how many percent of all members have no higher score.
    """
    identity, summary = _summary(view, who)
    about = [record_document(view.state, *row) for row in islice(records_about(view.state, identity), limit)]
    received = [
        rating_document(view.state, "rater", key, rating)
        for key, rating in islice(view.state.entries(RATINGS + identity, Rating), limit)
    ]
    return {**summary, "records_about": about, "received": received, **_given(view, identity, given, limit)}


def explained(view: View, who: str, *, given: bool = False, limit: int | None = None) -> Document:
    """Every point of a member's score, and the block that it comes from; so many ratings have a line of their own."""
    identity, summary = _summary(view, who)
    entry = _member(view, who, identity)
    lines = [_traced(view, line) for line in explanation(view.state, identity, entry, limit)]
    left_out = entry.ratings - sum(line["kind"] == "rating" for line in lines)
    capped = {"capped_by": _capped_by(view, identity)} if "tier_without_cap" in summary else {}
    total = sum(line["points"] for line in lines)
    told = {"lines": lines, "ratings_left_out": left_out, "sum": total}
    return {**summary, **told, **capped, **_given(view, identity, given, limit)}


def _summary(view: View, who: str) -> tuple[bytes, Document]:
    identity = view.identity(who)
    entry = _member(view, who, identity)
    score = standing(view.state.policy, entry).score
    rank, count = view.reader.rank(score), view.reader.count_members()
    place = {"rank": rank, "of": count, "percentile": 100 * (count - rank + 1) // count}
    void: Annulment | None = view.state.get(annulment_key(identity))
    doubt = {} if void is None else {"annulment": annulment_document(view.state, identity, void)}
    attested = {"attributes": attribute_documents(view.state, identity), **doubt}
    return identity, {**member_document(view.state, identity, entry), **place, **attested, **view.as_ranked}


def _member(view: View, who: str, identity: bytes) -> Member:
    entry = view.state.get(member_key(identity))
    if not isinstance(entry, Member):
        raise NotThere(f"{who} is not enrolled as of height {view.state.height}, final")
    return entry


def _given(view: View, identity: bytes, is_asked: bool, limit: int | None = None) -> Document:
    """The ratings that a member gave; reads all that there are."""
    if not is_asked:
        return {}
    given = islice(view.reader.ratings_by(identity), limit)
    return {
        "given": [
            rating_document(view.state, "subject", key, rating) for key, rating in given if isinstance(rating, Rating)
        ]
    }


def lists(view: View, tier: str | None, limit: int, offset: int = 0) -> Document:
    """Who stands in which tier, the highest first; the members of a tier by score.  Raises :class:`NotThere`."""
    names = [known.name for known in reversed(view.state.policy.tiers)]
    if tier is None:
        count, rows = view.reader.count_members(), view.reader.lists(limit, offset)
    elif tier in names:
        level = names.index(tier)
        count, rows = view.reader.count_tiers().get(level, 0), view.reader.tier(level, limit, offset)
    else:
        raise NotThere(f"no tier is called {tier!r}; choose from {', '.join(reversed(names))}")
    shown = [_listed(view, identity, score) for identity, score in rows]
    return {**view.as_ranked, "tier": tier, "count": count, "members": shown}


def tiers(view: View) -> Document:
    """How many members stand in which tier."""
    policy, counts = view.state.policy, view.reader.count_tiers()
    found = [
        {"tier": tier.name, "from_score": tier.threshold, "members": counts.get(level, 0)}
        for level, tier in enumerate(reversed(policy.tiers))
    ]
    return {**view.as_ranked, "members": sum(counts.values()), "tiers": found[::-1]}


def records(
    view: View,
    member: str | None,
    issuer: str | None,
    category: str | None,
    status: str | None,
    limit: int,
    after: str | None = None,
) -> Document:
    """Records that stand or are suspended, those after the one that ``after`` names; what has ended is history.

    Of a large register so many are looked at and no more: then few may fit, or none, and ``next`` leads on.
    """
    wanted_issuer = None if issuer is None else view.identity(issuer)
    code = None if category is None else _find_category(view.state.policy, category)
    wanted = None if status is None else STATUS_NAMES.index(status)

    def fits(row: Row) -> bool:
        record = row[2]
        return (
            wanted_issuer in (None, record.issuer)
            and code in (None, record.category)
            and wanted in (None, record.status)
        )

    found, last = _first(_records(view, member, after), fits, limit)
    shown = [record_document(view.state, *row) for row in found]
    return {
        **view.at_state,
        "more": last is not None,
        "records": shown,
        "next": None if last is None else _cursor(last),
    }


def _first(rows: Iterator[Row], fits: Callable[[Row], bool], limit: int) -> tuple[list[Row], Row | None]:
    """The first that fit, and the last that was looked at; None where that was the last of all."""
    found: list[Row] = []
    last = None
    for number, row in enumerate(rows):
        if number == MAX_LOOKED_AT or (len(found) == limit and fits(row)):
            return found, last
        last = row
        if fits(row):
            found.append(row)
    return found, None


def _records(view: View, who: str | None, after: str | None) -> Iterator[Row]:
    """Of one member the newest first, of all by member and number."""
    last = None if after is None else _read_cursor(after)
    if who is not None:
        about = records_about(view.state, view.identity(who))
        return about if last is None else (row for row in about if row[1] < last[1])
    found = view.reader.entries(RECORDS, b"" if last is None else record_key(*last))
    return ((*read_record_key(key), entry) for key, entry in found if isinstance(entry, Record))


def _cursor(row: Row) -> str:
    return f"{row[0].hex()}-{row[1]}"


def _read_cursor(text: str) -> tuple[bytes, int]:
    identity, _, number = text.partition("-")
    try:
        key, count = bytes.fromhex(identity), int(number)
    except ValueError:
        key, count = b"", -1
    if len(key) != 32 or not 0 <= count < 2**32:
        raise Unclear("after which record is said by the `next` of an answer")
    return key, count


def objections(view: View, limit: int | None = None) -> Document:
    """Open objections and annulments, and who has to act until when; time is counted from the newest block."""
    found = [
        record_document(view.state, *row)
        for identity in view.reader.suspended()
        for row in records_about(view.state, identity)
        if not row[2].counts
    ]
    found.sort(key=lambda record: (record["deadline_slot"], record["member"], record["number"]))
    doubts = islice(annulments(view.state), limit)
    return {
        **view.at_state,
        "objections": found[:limit],
        "annulments": [annulment_document(view.state, *row) for row in doubts],
    }


def history(
    view: View,
    who: str,
    record: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
    past: Past | None = None,
) -> Document:
    """What happened to a member, from the blocks: who filed, objected, answered and ruled, and how it ended.

    The chain is executed again, but for what ``past`` holds of it, and ``advance`` told of so many more blocks.  Raises
    :class:`NotThere`, and what :meth:`Past.about` does.
    """
    identity = view.identity(who)
    _member(view, who, identity)
    found = follow(view, identity, advance) if past is None else past.about(view, identity, advance)
    events = [
        event._asdict() | {"time": time_of(view.genesis, event.slot), "final": event.height <= view.finalized_height}
        for event in found
        if record in (None, event.number)
    ]
    since = 0 if past is None else past.forgotten_height + bool(past.forgotten_height)
    if record is not None and not events and not since:
        raise NotThere(f"there never was a record {record} about {who}")
    known = did_from_key(view.state.current_key(identity))
    return {**view.at_head, "member": known, "record": record, "since_height": since, "events": events}


def _ranked_member(view: View, identity: bytes) -> Member:
    entry = view.state.get(member_key(identity))
    if not isinstance(entry, Member):
        raise InvariantBroken(f"the standings rank {did_from_key(identity)}, which is no member")
    return entry


def _listed(view: View, identity: bytes, score: int) -> Document:
    """A line of a list; equal scores share a rank."""
    entry = _ranked_member(view, identity)
    found = standing(view.state.policy, entry)
    return {
        "rank": view.reader.rank(score),
        "member": did_from_key(entry.key),
        "score": found.score,
        "tier": found.tier,
        "records": entry.standing,
        "suspended": entry.suspended,
    }


def _traced(view: View, line: Document) -> Document:
    """A line of an explanation with the block that it comes from."""
    return {**line, "block": view.block_id(line["height"])} if "height" in line else line


def _capped_by(view: View, identity: bytes) -> list[Document]:
    """The records without which the tier would be higher, each with what ends its cap."""
    policy = view.state.policy
    lowest = min(level for level, _ in _member(view, did_from_key(identity), identity).caps)
    return [
        {
            "record": number,
            "category": category_name(policy, record.category),
            "tier_at_most": policy.tier(record.cap).name,
            "lifted_by": _lifted_by(view, record),
        }
        for _, number, record in records_about(view.state, identity)
        if record.counts and record.cap == lowest
    ]


def _lifted_by(view: View, record: Record) -> str:
    """What the member can do about a record, and when it ends by itself."""

    def date(slot: int) -> str:
        return moment_of(view.state.genesis, view.state.date(slot))

    ways = [f"it ends by itself on {date(record.expires_slot)}"]
    if record.repair_slot:
        ways.append(f"repair, from {date(record.repair_slot)}")
    if not record.upheld and not record.is_disputed:
        ways.append("an objection that is won")
    elif record.upheld == UPHELD_ONCE and not record.is_disputed and record.appeal_slot:
        ways.append(f"an appeal before {date(record.appeal_slot)}")
    return "; ".join(ways)


def _find_category(policy: Policy, name: str) -> int:
    """The code of a category of records by its code or its name."""
    for code, category in policy.categories.items():
        if name in (str(code), category.name):
            return code
    raise NotThere(f"no category of records is called {name!r}; `policy` lists them")
