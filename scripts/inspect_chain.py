"""Look inside a node's home, while the node runs or after it stopped.

What is on the chain (blocks, transactions) is shown as of the head; what follows from it (members, scores) as of
the state on disk, which is always final and follows the head by seconds.  Every answer says as of which height.
Nothing is written, and nothing but ``verify`` checks a signature again.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, importing

import os
from dataclasses import asdict

import click

from chain.ballots import EMPTY
from chain.documents import block_document, transaction_document
from chain.errors import OperatorError
from chain.recheck import recheck, signatures
from scripts.chain_view import (
    Finding,
    Sheet,
    View,
    as_of,
    facts,
    find_block,
    header_of_genesis,
    read_hex,
    sheet,
)
from scripts.inspect_parts import institutions, offline, people, seats
from scripts.inspect_parts.question import ALL, inspect_chain, limit, progress, question

# The commands of the parts are those of this one.
__all__ = ["inspect_chain", "institutions", "offline", "people", "seats"]

# 12 digits are an id's beginning rather than a height: 31,000 years of one-second slots.
_HEIGHT_DIGITS = 12
# Transactions are looked up by the first 8 bytes of their ids, which is what tables show of an id.
_TRANSACTION_DIGITS = 16
# What only some kinds of transactions have.
_ACTION_FIELDS = ("subject", "number", "category", "points", "verdict", "step")
# Signatures are checked outside of the interpreter's lock; of more threads that wait for the execution little comes.
_THREADS = min(8, os.cpu_count() or 1)


# ------------------------------------------------------------------------------------------------- the chain


@question
def head(view: View) -> Finding:
    """The newest block, and how far the chain is final."""
    header, count = next(view.reader.headers(view.head_height, 1), (header_of_genesis(view.genesis), 0))
    document = {
        "network": view.genesis.name,
        "genesis": view.genesis.id.hex(),
        **block_document(view.genesis, header, count, view.finalized_height),
        "state_height": view.at_state["as_of_height"],
        **view.at_head,
    }
    return Finding(document, [facts(f"Head, {as_of(document)}", document)])


@question
@click.option("--from", "from_height", type=click.IntRange(0, ALL), help="The first height; by default the newest.")
@limit(20)
def blocks(view: View, from_height: int | None, limit: int) -> Finding:
    """Blocks of the main chain, oldest first."""
    start = max(0, view.head_height - limit + 1) if from_height is None else from_height
    found = [
        block_document(view.genesis, header, count, view.finalized_height)
        for header, count in view.reader.headers(start, limit)
    ]
    document = {**view.at_head, "blocks": found}
    columns = ("height", "id", "slot", "time", "proposer", "transaction_count", "final")
    return Finding(document, [sheet(f"Blocks, {as_of(document)}", columns, found, ("time", "proposer"))])


@question
@click.argument("which", metavar="ID|HEIGHT")
def block(view: View, which: str) -> Finding:
    """One block with what it carries for the votes, by its height or by its id or the beginning of it."""
    if which.isascii() and which.isdigit() and len(which) < _HEIGHT_DIGITS:
        found, is_main = view.reader.block_at(int(which)), True
        if found is None and int(which):
            raise OperatorError(f"no block of height {int(which)} is stored; the head is at height {view.head_height}")
    else:
        found, is_main = find_block(view, read_hex(which, 4, "height and no block id"))
    body, ballot = ((), EMPTY) if found is None else (found.transactions, found.ballot)
    header = header_of_genesis(view.genesis) if found is None else found.header
    summary = block_document(view.genesis, header, len(body), view.finalized_height, main=is_main)
    listed = [transaction_document(view.state.policy, transaction) for transaction in body]
    carried = seats.ballot_document(ballot)
    sheets = [facts(f"Block, {as_of(view.at_head)}", summary), *seats.ballot_sheets(carried)]
    if listed:
        columns = (
            "id",
            "kind",
            "actor",
            "nonce",
            *[name for name in _ACTION_FIELDS if any(name in row for row in listed)],
        )
        sheets.append(sheet("Its transactions", columns, listed))
    return Finding({**view.at_head, **summary, "ballot": carried, "transactions": listed}, sheets)


@question
@click.argument("which", metavar="ID")
def tx(view: View, which: str) -> Finding:
    """One transaction of a block, by its id or the beginning of it (16 digits or more)."""
    digits = read_hex(which, _TRANSACTION_DIGITS, "transaction id")
    found = view.reader.transaction(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    if found is None or not found[0].id.hex().startswith(digits):
        raise OperatorError(f"no stored block holds a transaction {digits}; it may still wait for one")
    transaction, holder, is_main = found
    position = {
        "block": holder.id.hex(),
        "height": holder.header.height,
        "main": is_main,
        "final": is_main and holder.header.height <= view.finalized_height,
    }
    document = {**view.at_head, **transaction_document(view.state.policy, transaction), **position}
    return Finding(document, [facts(f"Transaction, {as_of(view.at_head)}", document)])


@question
def forks(view: View) -> Finding:
    """Stored blocks beside the main chain: each branch with where it leaves it."""
    side = {header.id: (header, count) for header, count in view.reader.headers(0, ALL, main=False)}
    inner = {header.parent for header, _ in side.values()}
    branches = []
    for tip, _ in side.values():
        if tip.id in inner:
            continue
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
    document = {**view.at_head, "side_blocks": len(side), "branches": branches}
    columns = ("tip", "height", "length", "leaves_at_height", "leaves_at", "can_win")
    return Finding(document, [sheet(f"Branches beside the main chain, {as_of(document)}", columns, branches)])


@question
def verify(view: View) -> Finding:
    """Recheck the whole chain from its genesis; exits with 1 where something is wrong."""
    with importing():
        from concurrent.futures import ThreadPoolExecutor

    with progress("signatures", signatures(view.reader)) as advance, ThreadPoolExecutor(_THREADS) as pool:
        report = recheck(view.reader, view.genesis, pool, advance)
    problems = [problem._asdict() for problem in report.problems]
    counts = {name: value for name, value in asdict(report).items() if name != "problems"}
    document = {"ok": not problems, **view.at_head, **counts, "problems": problems}
    title = f"{'The chain is wrong' if problems else 'The chain is right'}, {as_of(view.at_head)}"
    sheets = [facts(title, counts)]
    if problems:
        rows = [(problem.height, problem.what) for problem in report.problems]
        sheets.append(Sheet("What is wrong", ("height", "what"), rows))
    return Finding(document, sheets, EXIT_WRONG if problems else 0)


if __name__ == "__main__":
    inspect_chain()
