"""Questions about blocks and validators, answered from one commit: the same for a running node and for a home at rest.

Who asks for what is not there, or does not say which, gets :class:`~chain.disk.inspection.NotThere` or
:class:`~chain.disk.inspection.Unclear`.
"""

from __future__ import annotations

from chain.base.keys import did_from_key
from chain.base.merkle import prove
from chain.consensus.ballots import EMPTY
from chain.consensus.electorate import GATE_BLOCKS, Gate, Phase
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.blocks import Block, encode_block
from chain.content.policy import Policy
from chain.disk.inspection import NotThere, View, header_of_genesis, read_hex
from chain.documents.chronicle import ballot_document, block_document, finality_document, transaction_document
from chain.documents.people import Document
from chain.documents.words import change_in_words
from chain.register.validators import Seat

#: More of anything than a home can hold.
ALL = 2**62
# 12 digits are an id's beginning rather than a height: 31,000 years of one-second slots.
_HEIGHT_DIGITS = 12
_BLOCK_DIGITS = 4
# Transactions are looked up by the first 8 bytes of their ids, which is what tables show of an id.
_TRANSACTION_DIGITS = 16


def head(view: View) -> Document:
    """The newest block, and how far the chain is final."""
    found = next(view.reader.headers(view.head_height, 1), (header_of_genesis(view.genesis), 0))
    return {
        "network": view.genesis.name,
        "genesis": view.genesis.id.hex(),
        **block_document(view.genesis, *found, view.finalized_height),
        "state_height": view.at_state["as_of_height"],
        **view.at_head,
    }


def blocks(view: View, from_height: int | None, limit: int) -> Document:
    """Blocks of the main chain, oldest first; the newest where no height is said."""
    start = max(0, view.head_height - limit + 1) if from_height is None else from_height
    found = view.reader.headers(start, limit)
    return {**view.at_head, "blocks": [block_document(view.genesis, *row, view.finalized_height) for row in found]}


def headers(view: View, from_height: int | None, limit: int) -> Document:
    """Headers with their ballots as they were signed, oldest first: all that it takes to count votes."""
    start = max(1, view.head_height - limit + 1) if from_height is None else from_height
    rows = [
        {"id": header.id.hex(), "height": header.height, "header": header.raw.hex(), "ballot": ballot.raw.hex()}
        for header, ballot in view.reader.votings(start, limit)
    ]
    return {**view.at_head, "headers": rows}


def block(view: View, which: str) -> Document:
    """One block with what it carries, by its height or by its id or the beginning of it."""
    found, is_main = _block(view, which)
    body, ballot = ((), EMPTY) if found is None else (found.transactions, found.ballot)
    header = header_of_genesis(view.genesis) if found is None else found.header
    summary = block_document(view.genesis, header, len(body), view.finalized_height, main=is_main)
    listed = [transaction_document(view.state.policy, transaction) for transaction in body]
    return {**view.at_head, **summary, "ballot": ballot_document(ballot), "transactions": listed}


def raw_block(view: View, which: str) -> bytes:
    """A block as it travels.  Raises :class:`NotThere` for the genesis, which is none."""
    found, _ = _block(view, which)
    if found is None:
        raise NotThere("the genesis is not a block; /genesis shows it")
    return encode_block(found)


def _block(view: View, which: str) -> tuple[Block | None, bool]:
    if not (which.isascii() and which.isdigit() and len(which) < _HEIGHT_DIGITS):
        return view.find_block(read_hex(which, _BLOCK_DIGITS, "a height or a block id"))
    found = view.reader.block_at(int(which))
    if found is None and int(which):
        raise NotThere(f"no block of height {int(which)} is stored; the head is at height {view.head_height}")
    return found, True


def transaction(view: View, transaction_id: str) -> Document:
    """Where a transaction is, by its id or the beginning of it (16 digits or more).  Raises :class:`NotThere`."""
    digits = read_hex(transaction_id, _TRANSACTION_DIGITS, "a transaction id")
    found = view.reader.transaction(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    if found is None or not found[0].id.hex().startswith(digits):
        oldest = view.reader.oldest_body()
        dropped = f", or stand in a block below height {oldest}, and what those said is not here" if oldest > 1 else ""
        raise NotThere(f"no stored block holds a transaction {digits}; it may still wait for one{dropped}")
    known, holder, is_main = found
    told = transaction_in(view.state.policy, holder, known.id, view.finalized_height if is_main else None)
    return {**view.at_head, **told}


def transaction_in(policy: Policy, holder: Block, transaction_id: bytes, finalized_height: int | None) -> Document:
    """A transaction of a block; of one beside the main chain where there is no ``finalized_height``."""
    place = place_in(holder, transaction_id)
    if finalized_height is None:
        state = "left behind"
    else:
        state = "final" if holder.header.height <= finalized_height else "included"
    shown = transaction_document(policy, holder.transactions[place["index"]])
    return {"state": state, **place, "transaction": shown}


def place_in(holder: Block, transaction_id: bytes) -> Document:
    """Where a block holds a transaction, with the audit path up to the root in its header."""
    ids = [each.id for each in holder.transactions]
    index = ids.index(transaction_id)
    return {
        "height": holder.header.height,
        "block": holder.id.hex(),
        "index": index,
        "count": len(ids),
        "path": [node.hex() for node in prove(ids, index)],
        "header": holder.header.raw.hex(),
        "raw": holder.transactions[index].raw.hex(),
    }


def forks(view: View, limit: int = ALL) -> Document:
    """Stored blocks beside the main chain: each branch with where it leaves it; the highest tips."""
    side = {header.id: (header, count) for header, count in view.reader.headers(0, ALL, main=False)}
    inner = {header.parent for header, _ in side.values()}
    tips = [header for header, _ in side.values() if header.id not in inner]
    branches = []
    for tip in tips[-limit:]:
        branch, at = [], tip.id
        while at in side:
            branch.append(block_document(view.genesis, *side[at], view.finalized_height, main=False))
            at = side[at][0].parent
        leaves_at = branch[-1]["height"] - 1
        branches.append(
            {
                "tip": tip.id.hex(),
                "height": tip.height,
                "length": len(branch),
                "leaves_at_height": leaves_at,
                "leaves_at": at.hex(),
                "can_win": leaves_at >= view.finalized_height,
                "blocks": branch[::-1],
            }
        )
    return {**view.at_head, "side_blocks": len(side), "branches": branches}


def finality(view: View, limit: int) -> Document:
    """How the newest blocks become final, the newest first."""
    return finality_document(view.votes, view.header(view.finalized_height), limit)


# ------------------------------------------------------------------------------------------------- validators


def validators(view: View) -> Document:
    """Who makes blocks, who is jailed, whose votes count lately, and how far a change of them has come."""
    made = view.made.up_to(view.reader, view.finalized_height).copy().up_to(view.reader, view.head_height)
    votes, known = view.votes, view.state.validators
    voting = {speaker for row in votes.rows for speaker, mhg in row.said.items() if mhg < row.height}
    following = dict(known.following)
    found = [
        {
            "validator": did_from_key(seat.key),
            "weight": seat.weight,
            "status": _status(seat, following, votes),
            "blocks": made.counts[seat.key],
            "share_permille": 1000 * made.counts[seat.key] // max(1, view.head_height),
            "last_height": made.newest[seat.key].height if seat.key in made.newest else None,
            "last_slot": made.newest[seat.key].slot if seat.key in made.newest else None,
            "votes": seat.key in voting,
            "tag": _tag(votes.electorate.tag(seat.key).tag),
        }
        for seat in known.active
    ]
    return {
        **view.at_head,
        "state_height": view.at_state["as_of_height"],
        "validators": found,
        "under_way": [change_in_words(change) for change in known.change],
        "decided_height": known.decided_height or None,
        "phase": _phase_document(votes),
        "waiting": [change_in_words(change) for change in known.queue],
        "barred": [did_from_key(key) for key in votes.electorate.barred],
    }


def _status(seat: Seat, following: dict[bytes, int], votes: Votes) -> str:
    """What a validator is now, and what the change under way makes of it."""
    status = "jailed" if seat.is_jailed or seat.key in votes.electorate.barred else "active"
    if following and seat.key not in following:
        return f"{status}, leaves"
    if following and seat.is_jailed and following[seat.key]:
        return f"{status}, released next"
    return status


def _tag(tag: bytes) -> str | None:
    return None if tag == NO_TAG else tag.hex()


def _phase_document(votes: Votes) -> Document | None:
    """How far a change is at the head, and what each validator of the next set weighs and has said."""
    phase, now = votes.electorate.phase, votes.electorate.current.by_key
    if phase is None:
        return None
    return {
        "name": _phase_name(phase),
        "since": phase.since,
        "lapses_at": phase.since + GATE_BLOCKS + 1 if isinstance(phase, Gate) else None,
        "following": [
            {
                "validator": did_from_key(key),
                "weight": now.get(key, 0),
                "next_weight": weight,
                "spoke": key in votes.spoke if isinstance(phase, Gate) else None,
            }
            for key, weight in phase.following.weights
        ],
        "leaves": [did_from_key(key) for key in now if key not in phase.following.by_key],
    }


def _phase_name(phase: Phase) -> str:
    return "waited for" if isinstance(phase, Gate) else "both sets decide"
