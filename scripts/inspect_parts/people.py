"""Commands about members and what is recorded about them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import click

from chain.documents import (
    Row,
    all_records,
    explanation,
    listed_records,
    member_document,
    members,
    rating_document,
    record_document,
    records_about,
)
from chain.errors import InvariantBroken, OperatorError
from chain.keys import did_from_key
from chain.policy import Policy
from chain.scores import Standing, standing
from chain.state import RATINGS, STATUS_NAMES, UPHELD_ONCE, Member, Rating, Record, member_key
from chain.words import category_name, moment_of, time_of
from scripts.chain_view import Finding, Sheet, View, as_of, facts, sheet
from scripts.console import Share, remark, short_did
from scripts.inspect_parts.question import limit, progress, question

_RECORD_COLUMNS = ("member", "number", "category", "points", "severity", "issuer", "height", "expires")


@question
@limit(20)
def top(view: View, limit: int) -> Finding:
    """The members with the highest scores."""
    found: list[dict[str, Any]] = []
    for place, (identity, score) in enumerate(view.reader.standings(limit), 1):
        rank = found[-1]["rank"] if found and found[-1]["score"] == score else place
        found.append({"rank": rank, **member_document(view.state, identity, _member(view, identity))})
    document = {**view.at_state, "members_in_all": view.reader.count_members(), "members": found}
    rows = [
        (row["rank"], row["member"], row["score"], row["tier"], row["record_points"], row["rated_points"])
        for row in found
    ]
    columns = ("rank", "member", "score", "tier", "from_records", "from_ratings")
    return Finding(document, [Sheet(f"Members by score, {as_of(document)}", columns, rows)])


@question
@click.argument("did")
@click.option("--explain", "is_explained", is_flag=True, help="Every point of the score, and where it comes from.")
@click.option("--given", "is_given", is_flag=True, help="Also the ratings that the member gave; reads all ratings.")
def member(view: View, did: str, is_explained: bool, is_given: bool) -> Finding:
    """One member, by any key it ever had: score, rank, records and ratings.

    The percentile says how many percent of all members have no higher score.
    """
    identity = view.identity(did)
    entry = view.state.get(member_key(identity))
    if not isinstance(entry, Member):
        raise OperatorError(f"{did} is not enrolled {as_of(view.at_state)}")
    score = standing(view.state.policy, entry).score
    rank, count = view.reader.rank(score), view.reader.count_members()
    standing_in_all = {"rank": rank, "of": count, "percentile": 100 * (count - rank + 1) // count}
    summary = {**member_document(view.state, identity, entry), **standing_in_all, **view.at_state}
    document, sheets = dict(summary), [facts(f"Member, {as_of(view.at_state)}", summary)]
    if is_explained:
        lines = [_traced(view, line) for line in explanation(view.state, identity, entry)]
        document |= {"lines": lines, "sum": sum(line["points"] for line in lines)}
        sheets.append(_explained(lines, document["sum"]))
        if "tier_without_cap" in summary:
            document["capped_by"] = capped = _capped_by(view, identity, entry)
            columns = ("record", "category", "tier at most", "what would lift it")
            sheets.append(Sheet(f"What keeps the tier below {summary['tier_without_cap']}", columns, capped))
    else:
        records = [record_document(view.state, *row) for row in records_about(view.state, identity)]
        received = [
            rating_document(view.state, "rater", key, rating)
            for key, rating in view.state.entries(RATINGS + identity, Rating)
        ]
        document |= {"records_about": records, "received": received}
        if records:
            sheets.append(_records_sheet(f"Records about {did_from_key(entry.key)}", records))
        if received:
            sheets.append(_ratings_sheet("Ratings received", "rater", received))
    if is_given:
        given = [
            rating_document(view.state, "subject", key, rating)
            for key, rating in view.reader.ratings_by(identity)
            if isinstance(rating, Rating)
        ]
        document["given"] = given
        sheets.append(_ratings_sheet("Ratings given", "subject", given))
    return Finding(document, sheets)


@question
@click.option("--tier", help="Only the members of this tier.")
@click.option("--csv", "file", metavar="FILE", help="Write the whole list as CSV; - is the standard output.")
@limit(100)
def lists(view: View, tier: str | None, file: str | None, limit: int) -> Finding:
    """Who stands in which tier, the highest first; the members of a tier by score."""
    names = [known.name for known in view.state.policy.tiers]
    if tier is not None and tier not in names:
        raise OperatorError(f"no tier is called {tier!r}; choose from {', '.join(names)}")
    listed = [row for row in _ranked(view) if tier in (None, row[1].tier)]
    listed.sort(key=lambda row: -row[1].level)  # a tier cap can put a high score into a low tier
    columns = ("rank", "member", "score", "tier", "records", "suspended")
    if file is not None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(_list_row(*row) for row in listed)
        document = {**view.at_state, "tier": tier, "count": len(listed), "file": file}
        if file == "-":
            return Finding(document, text=text.getvalue())
        _write(Path(file), text.getvalue())
        remark(f"{len(listed)} members {as_of(document)} are in {file}")
        return Finding(document, text="")
    rows = [_list_row(*row) for row in listed[:limit]]
    shown = [dict(zip(columns, row, strict=True)) for row in rows]
    document = {**view.at_state, "tier": tier, "count": len(listed), "members": shown}
    title = f"{'Members' if tier is None else f'Tier {tier}'}: {len(listed)}, {as_of(document)}"
    return Finding(document, [Sheet(_cut(title, len(listed), limit), columns, rows)])


@question
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into a file: .svg, .png, .pdf.")
def tiers(view: View, plot: Path | None) -> Finding:
    """How many members stand in which tier."""
    counts = Counter(standing(view.state.policy, entry).tier for _, entry in members(view.state))
    total = counts.total()
    found: list[dict[str, Any]] = [
        {"tier": tier.name, "from_score": tier.threshold, "members": counts[tier.name]}
        for tier in view.state.policy.tiers
    ]
    document = {**view.at_state, "members": total, "tiers": found}
    title = f"{total} members by tier, {as_of(document)}"
    if plot is not None:
        from scripts.inspect_parts.plots import plot_tiers  # matplotlib, for this option alone

        plot_tiers(plot, title, found)
        remark(f"the figure is in {plot}")
    rows = [(row["tier"], row["from_score"], row["members"], Share(row["members"], total)) for row in found]
    return Finding(document, [Sheet(title, ("tier", "from_score", "members", "share"), rows)])


@question
@click.option("--member", "member_did", metavar="DID", help="About this member.")
@click.option("--issuer", "issuer_did", metavar="DID", help="Filed by this authority.")
@click.option("--category", metavar="CODE|NAME", help="In this category.")
@click.option("--status", type=click.Choice(STATUS_NAMES), help="With this status.")
@limit(50)
def records(
    view: View,
    member_did: str | None,
    issuer_did: str | None,
    category: str | None,
    status: str | None,
    limit: int,
) -> Finding:
    """Records that stand or are suspended; what has ended is found by `history`."""
    subject = None if member_did is None else view.identity(member_did)
    issuer = None if issuer_did is None else view.identity(issuer_did)
    code = None if category is None else _find_category(view.state.policy, category)
    wanted = None if status is None else STATUS_NAMES.index(status)

    def fits(row: Row) -> bool:
        record = row[2]
        return (
            (issuer is None or record.issuer == issuer)
            and (code is None or record.category == code)
            and (wanted is None or record.status == wanted)
        )

    rows = all_records(view.state) if subject is None else records_about(view.state, subject)
    document = listed_records(view.state, filter(fits, rows), limit)
    shown = document["records"]
    title = _cut(f"Records, {as_of(document)}", len(shown) + document["more"], limit)
    return Finding(document, [_records_sheet(title, shown)])


@question
def objections(view: View) -> Finding:
    """Open objections, and who has to act until when; time is counted from the newest block."""
    found = [
        record_document(view.state, *row)
        for identity, entry in members(view.state)
        if entry.suspended
        for row in records_about(view.state, identity)
        if not row[2].counts
    ]
    found.sort(key=lambda record: (record["deadline_slot"], record["member"], record["number"]))
    document = {**view.at_state, "objections": found}
    columns = ("member", "number", "category", "points", "issuer", "waits_for", "deadline_slot", "left")
    return Finding(document, [sheet(f"Open objections, {as_of(document)}", columns, _brief_members(found))])


@question
@click.argument("did")
@click.option("--record", "number", type=click.IntRange(0), help="Only this record.")
def history(view: View, did: str, number: int | None) -> Finding:
    """What happened to a member, from the blocks: who filed, objected, answered and ruled, and how it ended."""
    from scripts.inspect_parts.reexecution import follow  # executes the chain, for this command alone

    identity = view.identity(did)
    if view.state.get(member_key(identity)) is None:
        raise OperatorError(f"{did} is not enrolled {as_of(view.at_state)}")
    with progress("blocks", view.head_height) as advance:
        events = [
            event._asdict()
            | {"time": time_of(view.genesis, event.slot), "final": event.height <= view.finalized_height}
            for event in follow(view, identity, advance)
            if number in (None, event.number)
        ]
    if number is not None and not events:
        raise OperatorError(f"there never was a record {number} about {did}")
    document = {
        **view.at_head,
        "member": did_from_key(view.state.current_key(identity)),
        "record": number,
        "events": events,
    }
    rows = [{**event, "time": (event["time"] or "")[:19].replace("T", " ")} for event in events]
    columns = ("height", "time", "what", "number", "category", "points", "by", "score", "tier")
    what = "Member" if number is None else f"Record {number} about"
    return Finding(
        document,
        [sheet(f"{what} {document['member']}, {as_of(view.at_head)}", columns, rows, ("by", "points", "category"))],
    )


def _member(view: View, identity: bytes) -> Member:
    entry = view.state.get(member_key(identity))
    if not isinstance(entry, Member):
        raise InvariantBroken(f"the standings rank {did_from_key(identity)}, which is no member")
    return entry


def _ranked(view: View) -> list[tuple[int, Standing, Member]]:
    """All members, best first; equal scores share a rank and are ordered by identity."""
    scored = [(standing(view.state.policy, entry), entry) for _, entry in members(view.state)]
    scored.sort(key=lambda row: -row[0].score)
    first: dict[int, int] = {}
    return [(first.setdefault(found.score, place), found, entry) for place, (found, entry) in enumerate(scored, 1)]


def _list_row(rank: int, found: Standing, entry: Member) -> tuple[object, ...]:
    return rank, did_from_key(entry.key), found.score, found.tier, entry.standing, entry.suspended


def _traced(view: View, line: dict[str, Any]) -> dict[str, Any]:
    """A line of an explanation with the block that it comes from."""
    return {**line, "block": view.block_id(line["height"])} if "height" in line else line


def _find_category(policy: Policy, name: str) -> int:
    """The code of a category of records by its code or its name.  Raises :class:`OperatorError`."""
    for code, category in policy.categories.items():
        if name in (str(code), category.name):
            return code
    raise OperatorError(f"no category of records is called {name!r}; `policy` lists them")


def _state_in_words(record: dict[str, Any]) -> str:
    """The status of a record document, and until when it waits."""
    text = "upheld" if record["upheld"] and record["status"] == "standing" else str(record["status"])
    return f"{text}, {record['left']} left" if record["left"] else text


def _cut(title: str, count: int, limit: int) -> str:
    return f"{title}; the first {limit} of them" if count > limit else title


def _capped_by(view: View, identity: bytes, entry: Member) -> list[tuple[object, ...]]:
    """The records without which the tier would be higher, each with what ends its cap."""
    policy, lowest = view.state.policy, min(level for level, _ in entry.caps)
    capping = [(number, each) for _, number, each in records_about(view.state, identity) if each.counts]
    return [
        (f"record {number}", category_name(policy, each.category), policy.tier(each.cap).name, _lifted(view, each))
        for number, each in capping
        if each.cap == lowest
    ]


def _lifted(view: View, record: Record) -> str:
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


def _explained(lines: list[dict[str, Any]], total: int) -> Sheet:
    """The lines of an explanation and their sum."""
    columns = ("what", "points", "category", "by", "policy", "height", "block", "state")
    rows: list[tuple[object, ...]] = []
    for line in lines:
        is_record = line["kind"] == "record"
        state = _state_in_words(line) if is_record else None
        if is_record and not line["counts"]:
            state = f"{state} ({line['points_recorded']:+} suspended)"
        rows.append(
            (
                f"record {line['number']}" if is_record else line["kind"],
                line["points"],
                line.get("category"),
                short_did(by) if (by := line.get("issuer") or line.get("rater")) else None,
                line.get("policy"),
                line.get("height"),
                (line.get("block") or "")[:16] or None,
                state,
            )
        )
    return Sheet("Where the score comes from", columns, [*rows, ("score", total, *[None] * 6)])


def _records_sheet(title: str, found: list[dict[str, Any]]) -> Sheet:
    rows = [
        {**record, "expires": (record["expires_time"] or "")[:10], "state": _state_in_words(record)}
        for record in _brief_members(found)
    ]
    return sheet(title, (*_RECORD_COLUMNS, "state"), rows, ("severity", "height", "expires"))


def _ratings_sheet(title: str, other: str, ratings: list[dict[str, Any]]) -> Sheet:
    columns = (other, "category", "points", "height")
    return Sheet(title, columns, [tuple(item[name] for name in columns) for item in ratings])


def _brief_members(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**record, "member": short_did(record["member"])} for record in found]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}") from error
