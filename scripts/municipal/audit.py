"""The paper compared with a node's state, entry by entry, and every score explained down to the blocks."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO

from chain.base.errors import InvariantBroken
from chain.base.keys import did_from_key
from chain.content.actions import FileRecord
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.register.draft import Draft
from chain.register.entries import AUTHORITY_STATUS_NAMES, Rating, Record
from chain.register.scores import Line, explain, standing
from chain.register.state import decode_entry
from chain.register.statekeys import RATINGS, read_rating_key, read_record_key
from scripts.recount.book import Book
from scripts.recount.entries import differences
from scripts.recount.follow import recount_of

COLUMNS = ("member", "score", "tier", "open_objections", "records_standing")
OFFICE_COLUMNS = (
    "authority",
    "status",
    "filed",
    "withdrawn",
    "decided",
    "overturned",
    "forgiven_decided",
    "forgiven_overturned",
)

Table = dict[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Audit:
    """What a comparison found; ``explained`` of ``members`` scores could be traced to their blocks.

    ``tables`` are files for people: what the state says, and the same on paper.
    """

    height: int
    members: int
    explained: int
    differences: tuple[str, ...]
    faults: tuple[str, ...]
    tables: dict[str, str]

    @property
    def holds(self) -> bool:
        """Whether paper and state say the same, and every score explains itself."""
        return not self.differences and not self.faults and self.explained == self.members


def audit(genesis: Genesis, blocks: Mapping[int, Block], state: Mapping[bytes, bytes], height: int) -> Audit:
    """Compare the state after the block at ``height`` with the paper of the blocks up to it."""
    paper = recount_of(genesis, (blocks[at] for at in range(1, height + 1)))
    view = Draft(state, genesis, height + 1, paper.slot)
    members, offices = _members_of(view, state), _offices_of(view, state)
    found = [*_rows_that_differ(member_table(paper), members), *differences(paper, state)]
    explained = sum(_is_explained(view, state, key[1:], blocks) for key in state if key[:1] == b"m")
    tables = {
        "outcome.csv": to_csv(COLUMNS, members),
        "outcome-on-paper.csv": to_csv(COLUMNS, member_table(paper)),
        "authorities.csv": to_csv(OFFICE_COLUMNS, offices),
        "authorities-on-paper.csv": to_csv(OFFICE_COLUMNS, office_table(paper)),
    }
    return Audit(height, len(members), explained, tuple(found), tuple(paper.faults), tables)


def member_table(paper: Book) -> Table:
    """The outcome for every member, as the paper has it."""
    return {
        did_from_key(paper.current[member]): (
            paper.standing(member).score,
            paper.standing(member).tier,
            sum(not record.counts for record in paper.about(member)),
            sum(record.counts for record in paper.about(member)),
        )
        for member in paper.enrolled
    }


def office_table(paper: Book) -> Table:
    """How every authority judges, as the paper has it."""
    return {did_from_key(paper.current[who]): office.account()[:-1] for who, office in paper.offices.items()}


def to_csv(columns: tuple[str, ...], table: Table) -> str:
    """A table as a csv file, in the order of its first column."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows((name, *values) for name, values in sorted(table.items()))
    return text.getvalue()


def _members_of(view: Draft, state: Mapping[bytes, bytes]) -> Table:
    table: Table = {}
    for key in state:
        if key[:1] == b"m":
            _, member = view.member(key[1:])
            place = standing(view.policy, member)
            table[did_from_key(member.key)] = (place.score, place.tier, member.suspended, member.standing)
    return table


def _offices_of(view: Draft, state: Mapping[bytes, bytes]) -> Table:
    found = [view.authority(key[1:]) for key in state if key[:1] == b"a"]
    return {
        did_from_key(item.key): (
            AUTHORITY_STATUS_NAMES[item.status],
            item.filed,
            item.withdrawn,
            item.decided,
            item.overturned,
            item.forgiven_decided,
            item.forgiven_overturned,
        )
        for item in found
        if item is not None
    }


def _rows_that_differ(paper: Table, state: Table) -> list[str]:
    return [
        f"{name}: {state.get(name)} in the state, {paper.get(name)} by hand"
        for name in sorted(paper.keys() | state.keys())
        if paper.get(name) != state.get(name)
    ]


def _is_explained(view: Draft, state: Mapping[bytes, bytes], identity: bytes, blocks: Mapping[int, Block]) -> bool:
    """Whether the lines add up to the score, and each record among them is in the block that it names."""
    _, member = view.member(identity)
    records = [
        (read_record_key(key)[1], entry)
        for key in state
        if key[:33] == b"d" + identity and isinstance(entry := decode_entry(key, state[key]), Record)
    ]
    ratings = [
        (*read_rating_key(key)[1:], entry)
        for key in state
        if key[:33] == RATINGS + identity and isinstance(entry := decode_entry(key, state[key]), Rating)
    ]
    try:
        lines = explain(view.policy, member, records, ratings)
    except InvariantBroken:
        return False
    return all(_is_filed(view, identity, line, blocks) for line in lines if line.record is not None)


def _is_filed(view: Draft, subject: bytes, line: Line, blocks: Mapping[int, Block]) -> bool:
    record = line.record
    return record is not None and any(
        view.identity(item.actor) == record.issuer
        and isinstance(item.action, FileRecord)
        and view.identity(item.action.subject) == subject
        and (item.action.category, item.action.policy_version) == (record.category, record.policy_version)
        for item in blocks[record.height].transactions
    )
