"""Look inside a node's home, while the node runs or after it stopped.

What is on the chain (blocks, transactions) is shown as of the head; what follows from it (members, scores) as of
the state on disk, which is always final and follows the head by seconds.  Every answer says as of which height.
Nothing is written, and nothing but ``verify`` checks a signature again.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, importing, launched, pasted

import json
import os
from dataclasses import asdict

import click

from chain.base.errors import OperatorError
from chain.disk.answers import ALL, transaction
from chain.disk.inspection import View
from chain.disk.newcomer import progress_of
from chain.disk.recheck import recheck, signatures
from chain.documents.people import Document
from p2p.local.endpoints import BLOCK, BLOCKS, FORKS, HEAD, TRANSACTION
from scripts.chain_view import Finding, Sheet, as_of, facts, sheet
from scripts.inspect_parts import institutions, offline, people, seats
from scripts.inspect_parts.question import Count, inspect_chain, limit, look, progress, question

# The commands of the parts are those of this one.
__all__ = ["inspect_chain", "institutions", "offline", "people", "seats"]

# What only some kinds of transactions have.
_ACTION_FIELDS = ("subject", "number", "category", "points", "verdict", "step")
# Signatures are checked outside of the interpreter's lock; of more threads that wait for the execution little comes.
_THREADS = min(8, os.cpu_count() or 1)


# ------------------------------------------------------------------------------------------------- the chain


@question(HEAD)
def head(document: Document) -> Finding:
    """The newest block, and how far the chain is final."""
    return Finding(document, [facts(f"Head, {as_of(document)}", document)])


@question(BLOCKS)
@click.option("--from", "from_height", type=Count(0), help="The first height; by default the newest.")
@limit(20)
def blocks(document: Document) -> Finding:
    """Blocks of the main chain, oldest first."""
    columns = ("height", "id", "slot", "time", "proposer", "transaction_count", "final")
    return Finding(document, [sheet(f"Blocks, {as_of(document)}", columns, document["blocks"], ("time", "proposer"))])


@question(BLOCK)
@click.argument("which", metavar="ID|HEIGHT", callback=lambda _context, _which, text: text.replace(",", ""))
def block(document: Document) -> Finding:
    """One block, by its height or id, and its votes.  The beginning of an id is enough."""
    summary = {name: value for name, value in document.items() if name not in ("ballot", "transactions")}
    listed = document["transactions"]
    sheets = [facts(f"Block, {as_of(document)}", summary), *seats.ballot_sheets(document["ballot"])]
    if listed:
        fields = [name for name in _ACTION_FIELDS if any(name in row for row in listed)]
        sheets.append(sheet("Its transactions", ("id", "kind", "actor", "nonce", *fields), listed))
    return Finding(document, sheets)


@question(TRANSACTION, at_rest=transaction)
@click.argument("transaction_id", metavar="ID")
def tx(document: Document) -> Finding:
    """Where a transaction is, by its id.  A home also finds it by the beginning of that (16 digits or more)."""
    place = {name: document[name] for name in ("state", "height", "block", "index", "count")}
    return Finding(document, [facts(f"Transaction, {as_of(document)}", {**(document["transaction"] or {}), **place})])


@question(FORKS)
@limit(ALL)
def forks(document: Document) -> Finding:
    """Branches beside the main chain, and where each leaves it."""
    columns = ("tip", "height", "length", "leaves_at_height", "leaves_at", "can_win")
    title = f"Branches beside the main chain, {as_of(document)}"
    return Finding(document, [sheet(title, columns, document["branches"])])


@look
def sync(view: View) -> Finding:
    """How far a home is that joins by state.  That is as of some seconds ago; one that does not join says where it
    stands.
    """
    raw = progress_of(view.reader.path)
    if raw is None:
        document = {"joining": False, **view.at_head, "oldest_body": view.reader.oldest_body()}
        if not view.head_height:
            run = launched(f"python node.py run --home {pasted(view.reader.path.parent)}")
            return Finding(document, text=f"This home has no block yet; `{run}` brings it what the network has.\n")
        return Finding(document, [facts(f"This home has its state, {as_of(document)}", document)])
    document = {"joining": True, **json.loads(raw)}
    refused = document.pop("refused")
    sheets = [facts("This home joins by state", document)]
    if refused:
        sheets.append(Sheet("Peers that sent what is refused", ("peer", "what"), list(refused.items())))
    return Finding({**document, "refused": refused}, sheets)


@look
def verify(view: View) -> Finding:
    """Recheck the whole chain from its genesis.  It exits with 1 where something is wrong."""
    with importing():
        from concurrent.futures import ThreadPoolExecutor

    if view.reader.oldest_body() > 1:
        raise OperatorError(
            "this home has not what its first blocks said (it dropped that, or joined by state), so they cannot be "
            "executed again; "
            "`python scripts/chaindata.py verify` checks what is here"
        )
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
