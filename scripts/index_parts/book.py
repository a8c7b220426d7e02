"""Final blocks, executed, and the rows that follow from them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from chain.base.keys import did_from_key
from chain.branches.ledger import Ledger
from chain.consensus.votecodec import encode_votes
from chain.consensus.votes import Votes
from chain.content.actions import Action
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.transactions import Transaction
from chain.disk.history import Execution, Step
from chain.documents.chronicle import block_document, transaction_document
from chain.documents.institutions import authority_document, motion_document
from chain.documents.people import Document, member_document, rating_document, record_document
from chain.documents.words import category_name, time_of
from chain.register.draft import Happening, Parent
from chain.register.entries import Authority, Member, Motion, Rating, Record
from chain.register.scores import standing
from chain.register.state import decode_entry
from chain.register.statekeys import (
    AUTHORITIES,
    CLOCK_KEY,
    MEMBERS,
    MOTIONS,
    RATINGS,
    RECORDS,
    RULES_KEY,
    read_identity,
    read_motion_key,
    read_rating_key,
    read_record_key,
)
from chain.register.view import StateView
from scripts.index_parts import tables

# More than a block can hold, so that a height and a place in it make one number.
_PLACES = 1_000_000
# Terms may begin and end beyond what a database counts to: no chain reaches that.
_NO_END = 2**63
_did = lru_cache(maxsize=65_536)(did_from_key)

Key = tuple[Any, ...]


class Position(NamedTuple):
    """The final block up to which the index goes."""

    height: int
    id: bytes
    slot: int
    votes: Votes


@dataclass
class Batch:
    """What some blocks add to histories, and change in what stands: a row by its key, None where it is gone."""

    histories: defaultdict[str, list[Document]] = field(default_factory=lambda: defaultdict(list))
    standing: defaultdict[str, dict[Key, Document | None]] = field(default_factory=lambda: defaultdict(dict))
    position: Document = field(default_factory=dict)


class Book:
    """The register after the last final block that was read, and what the blocks after it make of it."""

    def __init__(self, genesis: Genesis, position: Position | None, state: Mapping[bytes, bytes] | None) -> None:
        self.genesis = genesis
        at = position or Position(0, genesis.id, 0, Votes.genesis(genesis.validators, genesis.batch))
        self._ledger = Ledger(genesis, state, at.height, Parent(at.id, at.slot))
        self._votes = at.votes

    @property
    def height(self) -> int:
        """Up to where it was read."""
        return self._ledger.height

    @property
    def id(self) -> bytes:
        """The block there."""
        return self._ledger.head.id

    def first(self) -> Batch:
        """The rows of the genesis itself."""
        return self._closed(Batch(), self._ledger.state.keys(), is_everything=True)

    def read(self, blocks: Iterable[Block]) -> Batch:
        """The rows of the next blocks.

        Raises :class:`chain.base.errors.Refused` where a block does not lead to its state root: the book is of no use
        then.
        """
        batch, changed, is_everything = Batch(), set[bytes](), False
        for block in blocks:
            changes = self._execute(block, batch)
            is_everything |= RULES_KEY in changes or CLOCK_KEY in changes
            changed |= changes
        return self._closed(batch, changed, is_everything=is_everything)

    # ---------------------------------------------------------------------------------------------- what happened

    def _execute(self, block: Block, batch: Batch) -> set[bytes]:
        """Append what happened in a block; the keys of the state that it changed."""
        rows, moment, votes = batch.histories, moment_of(self.genesis, block), self._votes
        execution = Execution(self._ledger, votes, block)
        for step in execution:
            if step.transaction is not None:
                place = {"height": block.header.height, "position": _count(rows["transactions"], block)}
                rows["transactions"].append({**place, **moment, **_transaction(step, step.transaction)})
            for happening in step.happenings:
                sequence = block.header.height * _PLACES + _count(rows["record_events"], block)
                event = {"sequence": sequence, "height": block.header.height}
                rows["record_events"].append({**event, **moment, **_happened(step, happening)})
        self._votes = execution.votes
        self._ledger.settle(self.height)
        rows["blocks"].append(block_row(self.genesis, block, is_final=True))
        rows["finality"].extend(_finality(votes, execution.votes, moment["day"]))
        rows["scores"].extend({"height": self.height, **moment, **row} for row in self._scores(execution.changes))
        return set(execution.changes)

    def _scores(self, changes: Collection[bytes]) -> Iterator[Document]:
        view = self._ledger.view()
        if RULES_KEY in changes:
            changes = {*changes, *(key for key in self._ledger.state if key.startswith(MEMBERS))}
        for key in sorted(key for key in changes if key.startswith(MEMBERS)):
            member = view.get(key)
            row = {"member": _did(read_identity(key)), "policy": view.rules.version}
            yield {**row, **(_nowhere() if member is None else _score(view, member))}

    # ---------------------------------------------------------------------------------------------- what stands

    def _closed(self, batch: Batch, changed: Collection[bytes], *, is_everything: bool) -> Batch:
        """Add what these keys of the state are now, and where that is."""
        ledger = self._ledger
        head, state = ledger.head, ledger.state
        view = ledger.view(head.slot, is_final=True)
        batch.standing["state"] = {(key,): _entry(key, state.get(key)) for key in changed}
        if is_everything:
            changed = {*changed, *(key for key in state if key[:1] in _ROWS)}
        for key in sorted(key for key in changed if key[:1] in _ROWS):
            form, value = _ROWS[key[:1]], state.get(key)
            row = None if value is None else form.row(view, key, decode_entry(key, value))
            batch.standing[form.table.name][form.name(key)] = row
        batch.position = {
            "format": tables.FORMAT,
            "genesis": self.genesis.id.hex(),
            "height": ledger.height,
            "id": head.id.hex(),
            "slot": head.slot,
            "day": _day(self.genesis, head.slot),
            "votes": encode_votes(self._votes),
        }
        return batch


def moment_of(genesis: Genesis, block: Block) -> Document:
    """When a block is."""
    slot = block.header.slot
    return {"slot": slot, "time": time_of(genesis, slot), "day": _day(genesis, slot)}


def block_row(genesis: Genesis, block: Block, *, is_final: bool) -> Document:
    """The row of a block."""
    document = block_document(genesis, block.header, len(block.transactions), 0)
    return {**document, **moment_of(genesis, block), "final": is_final}


def _day(genesis: Genesis, slot: int) -> str | None:
    time = time_of(genesis, slot)
    return None if time is None else time[:10]


def _count(rows: list[Document], block: Block) -> int:
    """How many of these are of this block, which is the last one in them."""
    height, last = block.header.height, rows[-1] if rows else None
    if last is None or last["height"] != height:
        return 0
    return 1 + int(last["position"] if "position" in last else last["sequence"] % _PLACES)


def _transaction(step: Step, transaction: Transaction) -> Document:
    draft, action = step.draft, transaction.action
    document = transaction_document(draft.policy, transaction)
    about = _about(action)
    named = {
        "member": _did(draft.identity(transaction.actor)),
        "subject": None if about is None else _did(draft.identity(about)),
        "code": getattr(action, "category", None),
    }
    known = set(tables.TRANSACTIONS.names) | {"expiry_height"}
    details = {name: value for name, value in document.items() if name not in known}
    fields = {name: document.get(name) for name in ("id", "kind", "actor", "nonce", "number", "category", "points")}
    return {**fields, **named, "details": _json(details)}


def _about(action: Action) -> bytes | None:
    subject = getattr(action, "subject", None)
    return subject if isinstance(subject, bytes) else None


def _happened(step: Step, happening: Happening) -> Document:
    what, subject, number, record = happening
    transaction = step.transaction
    return {
        "member": _did(subject),
        "number": number,
        "what": what,
        "issuer": _did(record.issuer),
        "category": category_name(step.draft.policy, record.category),
        "code": record.category,
        "points": record.points,
        "transaction": None if transaction is None else transaction.id.hex(),
        "actor": None if transaction is None else _did(transaction.actor),
    }


def _finality(before: Votes, after: Votes, day: str) -> Iterator[Document]:
    """The blocks that the newest one's votes made final."""
    for height in range(before.finalized + 1, after.finalized + 1):
        row = after.row(height) or before.row(height)
        if row is not None:
            yield {
                "height": height,
                "id": row.id.hex(),
                "final_by": after.height,
                "blocks_later": after.height - height,
                "prevotes": row.prevotes[0],
                "precommits": row.precommits[0],
                "threshold": row.electorate.sets[0].threshold,
                "speakers": len(row.said),
                "day": day,
            }


def _score(view: StateView, member: Member) -> Document:
    score, _, tier = standing(view.policy, member)
    return {
        "score": score,
        "tier": tier,
        "record_points": member.record_points,
        "rated_points": member.rated_points,
    }


def _nowhere() -> Document:
    return dict.fromkeys(("score", "tier", "record_points", "rated_points"))


def _entry(key: bytes, value: bytes | None) -> Document | None:
    return None if value is None else {"key": key, "value": value}


# ------------------------------------------------------------------------------------------------ rows of what stands


def _member_row(view: StateView, key: bytes, member: Member) -> Document:
    identity = read_identity(key)
    registrar = _did(member.registrar) if member.registrar else None
    document = member_document(view, identity, member)
    return {**document, "member": _did(identity), "key": _did(member.key), "registrar": registrar}


def _record_row(view: StateView, key: bytes, record: Record) -> Document:
    subject, number = read_record_key(key)
    document = record_document(view, subject, number, record)
    return {**document, "member": _did(subject), "issuer": _did(record.issuer)}


def _rating_row(view: StateView, key: bytes, rating: Rating) -> Document:
    subject, rater, code = _rating_name(key)
    return {**rating_document(view, "rater", key, rating), "subject": subject, "rater": rater, "code": code}


def _rating_name(key: bytes) -> Key:
    subject, rater, code = read_rating_key(key)
    return _did(subject), _did(rater), code


def _authority_row(view: StateView, key: bytes, authority: Authority) -> Document:
    identity = read_identity(key)
    document = authority_document(view, identity, authority)
    lists = {name: _json(document[name]) for name in ("rights", "categories")}
    term = {name: document[name] if document[name] < _NO_END else None for name in ("from_slot", "until_slot")}
    return {**document, **lists, **term, "authority": _did(identity), "key": _did(authority.key)}


def _motion_row(view: StateView, key: bytes, motion: Motion) -> Document:
    document = motion_document(view, read_motion_key(key), motion)
    lists = {name: _json(document[name]) for name in ("about", "approvals")}
    return {"expires_slot": None, "expires_time": None, **document, **lists}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


class _Form(NamedTuple):
    """How the entries of one kind become rows: their names by their state keys, and the rows."""

    table: tables.Table
    name: Callable[[bytes], Key]
    row: Callable[[StateView, bytes, Any], Document]


_ROWS = {
    MEMBERS: _Form(tables.MEMBERS, lambda key: (_did(read_identity(key)),), _member_row),
    RECORDS: _Form(tables.RECORDS, lambda key: (_did(key[1:33]), read_record_key(key)[1]), _record_row),
    RATINGS: _Form(tables.RATINGS, _rating_name, _rating_row),
    AUTHORITIES: _Form(tables.AUTHORITIES, lambda key: (_did(read_identity(key)),), _authority_row),
    MOTIONS: _Form(tables.MOTIONS, lambda key: (read_motion_key(key),), _motion_row),
}
