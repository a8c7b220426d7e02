"""Commands about members and what is recorded about them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from chain.documents.people import Document
from chain.register.entries import STATUS_NAMES
from p2p.local.endpoints import EXPLANATION, HISTORY, LISTS, MEMBER, MEMBERS, OBJECTIONS, RECORDS, TIERS, TOP
from scripts.chain_view import Finding, Sheet, as_of, facts, sheet
from scripts.console import Share, remark, short_did
from scripts.inspect_parts.question import ALL, Count, limit, question

_CAP_COLUMNS = ("record", "category", "tier_at_most", "lifted_by")
_RECORD_COLUMNS = ("member", "number", "category", "points", "severity", "issuer", "height", "expires")


@question(TOP)
@limit(20)
def top(document: Document) -> Finding:
    """The members with the highest scores."""
    rows = [
        (row["rank"], row["member"], row["score"], row["tier"], row["record_points"], row["rated_points"])
        for row in document["members"]
    ]
    columns = ("rank", "member", "score", "tier", "from_records", "from_ratings")
    return Finding(document, [Sheet(f"Members by score, {as_of(document)}", columns, rows)])


_LISTS = frozenset(
    ("records_about", "received", "given", "lines", "ratings_left_out", "sum", "capped_by", "attributes", "annulment")
)


@question(MEMBER, other=EXPLANATION, when="is_explained")
@click.argument("who", metavar="DID")
@click.option("--explain", "is_explained", is_flag=True, help="Every point of the score, and where it comes from.")
@click.option("--given", is_flag=True, help="Also the ratings that the member gave; reads all ratings.")
def member(document: Document, is_explained: bool) -> Finding:
    """One member: score, rank, records and ratings.  Any key that it ever had names it.

    The percentile says how many percent of all members have no higher score.
    """
    summary = {name: value for name, value in document.items() if name not in _LISTS}
    sheets = [facts(f"Member, {as_of(document)}", summary)]
    if is_explained:
        sheets.append(_explained(document["lines"], document["sum"]))
        if "capped_by" in document:
            title = f"What keeps the tier below {document['tier_without_cap']}"
            sheets.append(sheet(title, _CAP_COLUMNS, document["capped_by"]))
    elif document["records_about"]:
        sheets.append(_records_sheet(f"Records about {document['member']}", document["records_about"]))
    if document.get("attributes"):
        columns = ("attribute", "issuer", "expires_time", "left", "digest")
        sheets.append(sheet("What is attested", columns, document["attributes"]))
    if "annulment" in document:
        sheets.append(_doubts_sheet("Its enrolment is called void", [document["annulment"]]))
    if document.get("received"):
        sheets.append(_ratings_sheet("Ratings received", "rater", document["received"]))
    if "given" in document:
        sheets.append(_ratings_sheet("Ratings given", "subject", document["given"]))
    return Finding(document, sheets)


@question(MEMBERS)
@click.option("--after", metavar="DID", help="Those after this one: the `next` of an answer.")
@limit(100)
def members(document: Document) -> Finding:
    """All members by their first keys, page by page."""
    columns = ("member", "score", "tier", "records", "suspended", "ratings", "enrolled_height")
    rows = [tuple(row[name] for name in columns) for row in document["members"]]
    more = f"; more with --after {document['next']}" if document["next"] else ""
    return Finding(document, [Sheet(f"Members, {as_of(document)}{more}", columns, rows)])


def _whole_if_written(context: click.Context, _parameter: click.Parameter, value: int | None) -> int:
    """A file holds all of a list."""
    return ALL if context.params.get("file") else value or 100


@question(LISTS)
@click.option("--tier", help="Only the members of this tier.")
@click.option("--csv", "file", metavar="FILE", is_eager=True, help="Write it as CSV; - is the standard output.")
@click.option("--offset", type=Count(0), default=0, help="How many to skip.")
@click.option("--limit", type=Count(1), callback=_whole_if_written, help="How many at most.  [default: 100]")
def lists(document: Document, file: str | None) -> Finding:
    """Who stands in which tier, the highest first.  The members of a tier are in the order of their scores."""
    columns = ("rank", "member", "score", "tier", "records", "suspended")
    rows = [tuple(row[name] for name in columns) for row in document["members"]]
    count, tier = document["count"], document["tier"]
    if file is None:
        title = f"{'Members' if tier is None else f'Tier {tier}'}: {count}, {as_of(document)}"
        return Finding(document, [Sheet(_cut(title, count, len(rows)), columns, rows)])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    told = {name: document[name] for name in ("as_of_height", "final", "tier", "count")} | {"file": file}
    if file == "-":
        return Finding(told, text=text.getvalue())
    _write(Path(file), text.getvalue())
    remark(f"{len(rows)} members {as_of(document)} are in {file}")
    return Finding(told, text="")


@question(TIERS)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into a file: .svg, .png, .pdf.")
def tiers(document: Document, plot: Path | None) -> Finding:
    """How many members stand in which tier."""
    total, found = document["members"], document["tiers"]
    title = f"{total} members by tier, {as_of(document)}"
    if plot is not None:
        from scripts.inspect_parts.plots import plot_tiers  # matplotlib, for this option alone

        plot_tiers(plot, title, found)
        remark(f"the figure is in {plot}")
    rows = [(row["tier"], row["from_score"], row["members"], Share(row["members"], total)) for row in found]
    return Finding(document, [Sheet(title, ("tier", "from_score", "members", "share"), rows)])


@question(RECORDS)
@click.option("--member", metavar="DID", help="About this member.")
@click.option("--issuer", metavar="DID", help="Filed by this authority.")
@click.option("--category", metavar="CODE|NAME", help="In this category.")
@click.option("--status", type=click.Choice(STATUS_NAMES), help="With this status.")
@click.option("--after", metavar="NEXT", help="Those after the `next` of an answer.")
@limit(50)
def records(document: Document) -> Finding:
    """Records that stand or are suspended.  What has ended is found by `history`."""
    more = f"; more with --after {document['next']}" if document["next"] else ""
    return Finding(document, [_records_sheet(f"Records, {as_of(document)}{more}", document["records"])])


@question(OBJECTIONS)
@limit(ALL)
def objections(document: Document) -> Finding:
    """Open objections, and who has to act until when.  Time is counted from the newest block."""
    columns = ("member", "number", "category", "points", "issuer", "waits_for", "deadline_slot", "left")
    rows = _brief_members(document["objections"])
    title = f"Open objections, {as_of(document)}"
    sheets = [sheet(title, columns, rows, ("deadline_slot", "points", "issuer", "category"))]
    if document["annulments"]:
        sheets.append(_doubts_sheet("Enrolments that are called void", document["annulments"]))
    return Finding(document, sheets)


def _doubts_sheet(title: str, annulments: list[Document]) -> Sheet:
    rows = [{**row, "arbiters": " ".join(map(short_did, row["arbiters"])) or None} for row in annulments]
    return sheet(title, ("member", "registrar", "status", "waits_for", "left", "arbiters"), rows)


@question(HISTORY)
@click.argument("who", metavar="DID")
@click.option("--record", type=click.IntRange(0), help="Only this record.")
def history(document: Document) -> Finding:
    """What happened to a member, from the blocks.  It says who filed, objected, answered and ruled, and how it
    ended.
    """
    events, number = document["events"], document["record"]
    rows = [{**event, "time": (event["time"] or "")[:19].replace("T", " ")} for event in events]
    columns = ("height", "time", "what", "number", "category", "points", "by", "score", "tier")
    what = "Member" if number is None else f"Record {number} about"
    title = f"{what} {document['member']}, {as_of(document)}"
    return Finding(document, [sheet(title, columns, rows, ("by", "points", "category"))])


def _state_in_words(record: dict[str, Any]) -> str:
    """The status of a record document, and until when it waits."""
    text = "upheld" if record["upheld"] and record["status"] == "standing" else str(record["status"])
    return f"{text}, {record['left']} left" if record["left"] else text


def _cut(title: str, count: int, limit: int) -> str:
    return f"{title}; the first {limit} of them" if count > limit else title


def _explained(lines: list[dict[str, Any]], total: int) -> Sheet:
    """The lines of an explanation and their sum."""
    columns = ("what", "points", "category", "by", "policy", "height", "block", "state")
    rows: list[tuple[object, ...]] = []
    for line in lines:
        is_record = line["kind"] == "record"
        state = _state_in_words(line) if is_record else None
        if is_record and not line["counts"]:
            state = f"{state} ({line['worth']:+} suspended)"
        if is_record and line["fading"]:
            state = f"{state}; {line['fading']}"
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
    least = ("block", "policy", "height", "by")
    return Sheet("Where the score comes from", columns, [*rows, ("score", total, *[None] * 6)], least)


def _records_sheet(title: str, found: list[dict[str, Any]]) -> Sheet:
    rows = [
        {**record, "expires": (record["expires_time"] or "")[:10], "state": _state_in_words(record)}
        for record in _brief_members(found)
    ]
    return sheet(title, (*_RECORD_COLUMNS, "state"), rows, ("severity", "height", "expires", "issuer"))


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
