"""Look inside a node's home, while the node runs or after it stopped.

What is on the chain (blocks, transactions) is shown as of the head; what follows from it (members, scores) as of
the state on disk, which is always final and follows the head by seconds.  Every answer says as of which height.
Nothing is written, and nothing but ``verify`` checks a signature again.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from chain.database import corrupt
from chain.errors import OperatorError, Refused
from chain.headers import VerifiedHeader
from chain.keys import did_from_key, key_from_did
from chain.state import RULES_KEY, Member, Rules, member_key
from scripts.chain_view import (
    Answer,
    Sheet,
    View,
    as_of,
    block_document,
    facts,
    find_block,
    header_of_genesis,
    member_summary,
    open_view,
    ranking,
    rating_document,
    read_hex,
    sheet,
    transaction_document,
)
from scripts.console import EXIT_WRONG, print_json, run, stderr_console, table

_ALL = 2**62
# 12 digits are an id's beginning rather than a height: 31,000 years of one-second slots.
_HEIGHT_DIGITS = 12
# Transactions are looked up by the first 8 bytes of their ids, which is what tables show of an id.
_TRANSACTION_DIGITS = 16
# What only some kinds of transactions have.
_ACTION_FIELDS = ("subject", "category", "points")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def inspect_chain() -> None:
    """Look inside a node's home, while the node runs or after it stopped."""


def _question(ask: Callable[..., Answer]) -> Callable[..., Answer]:
    """Make a command of a function that answers from a :class:`View`."""

    @functools.wraps(ask)
    def command(home: Path, as_json: bool, **arguments: Any) -> None:
        with open_view(home) as view:
            answer = _answer(view, functools.partial(ask, view, **arguments))
        if as_json:
            print_json(answer.document)
        else:
            for number, sheet in enumerate(answer.sheets):
                if number:
                    click.echo()
                table(*sheet)
        if answer.exit_code:
            click.get_current_context().exit(answer.exit_code)

    home = click.option(
        "--home",
        type=click.Path(path_type=Path),
        envvar="GOODFAITH_HOME",
        default=Path("home"),
        show_default=True,
        show_envvar=True,
        help="A node's home, or a testnet's.",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    inspect_chain.command()(home(as_json(command)))
    return ask


def _answer(view: View, ask: Callable[[], Answer]) -> Answer:
    """Ask; what proves damaged in the database becomes an :class:`OperatorError`."""
    failure: BaseException
    try:
        return ask()
    except Refused as refusal:
        failure = corrupt(view.reader.path, str(refusal))
    except KeyboardInterrupt:
        failure = KeyboardInterrupt()
    # Out here the frames of the failure are gone, and with them the queries that were half read: one that is
    # left over when the connection closes complains on stderr.
    raise failure


# ------------------------------------------------------------------------------------------------- the chain


@_question
def head(view: View) -> Answer:
    """The newest block, and how far the chain is final."""
    header, count = next(view.reader.headers(view.head_height, 1), (header_of_genesis(view.genesis), 0))
    document = {
        "network": view.genesis.name,
        "genesis": view.genesis.id.hex(),
        **block_document(view, header, count),
        "state_height": view.at_state["as_of_height"],
        **view.at_head,
    }
    return Answer(document, [facts(f"Head, {as_of(document)}", document)])


@_question
@click.option("--from", "from_height", type=click.IntRange(0, _ALL), help="The first height; by default the newest.")
@click.option("--limit", type=click.IntRange(1, _ALL), default=20, show_default=True, help="How many at most.")
def blocks(view: View, from_height: int | None, limit: int) -> Answer:
    """Blocks of the main chain, oldest first."""
    start = max(0, view.head_height - limit + 1) if from_height is None else from_height
    found = [block_document(view, header, count) for header, count in view.reader.headers(start, limit)]
    document = {**view.at_head, "blocks": found}
    columns = ("height", "id", "slot", "time", "proposer", "transaction_count", "final")
    return Answer(document, [sheet(f"Blocks, {as_of(document)}", columns, found)])


@_question
@click.argument("which", metavar="ID|HEIGHT")
def block(view: View, which: str) -> Answer:
    """One block, by its height or by its id or the beginning of it."""
    if which.isascii() and which.isdigit() and len(which) < _HEIGHT_DIGITS:
        found, is_main = view.reader.block_at(int(which)), True
        if found is None and int(which):
            raise OperatorError(f"no block of height {int(which)} is stored; the head is at height {view.head_height}")
    else:
        found, is_main = find_block(view, read_hex(which, 4, "height and no block id"))
    body = () if found is None else found.transactions
    header = header_of_genesis(view.genesis) if found is None else found.header
    summary = block_document(view, header, len(body), main=is_main)
    listed = [transaction_document(view, transaction) for transaction in body]
    sheets = [facts(f"Block, {as_of(view.at_head)}", summary)]
    if listed:
        columns = (
            "id",
            "kind",
            "actor",
            "nonce",
            *[name for name in _ACTION_FIELDS if any(name in row for row in listed)],
        )
        sheets.append(sheet("Its transactions", columns, listed))
    return Answer({**view.at_head, **summary, "transactions": listed}, sheets)


@_question
@click.argument("which", metavar="ID")
def tx(view: View, which: str) -> Answer:
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
    document = {**view.at_head, **transaction_document(view, transaction), **position}
    return Answer(document, [facts(f"Transaction, {as_of(view.at_head)}", document)])


@_question
def forks(view: View) -> Answer:
    """Stored blocks beside the main chain: each branch with where it leaves it."""
    side = {header.id: (header, count) for header, count in view.reader.headers(0, _ALL, main=False)}
    inner = {header.parent for header, _ in side.values()}
    branches = []
    for tip, _ in side.values():
        if tip.id in inner:
            continue
        branch, at = [], tip.id
        while at in side:
            branch.append(block_document(view, *side[at], main=False))
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
    return Answer(document, [sheet(f"Branches beside the main chain, {as_of(document)}", columns, branches)])


@_question
def validators(view: View) -> Answer:
    """Who makes the blocks of the main chain, and whose votes count lately."""
    made: Counter[bytes] = Counter()
    newest: dict[bytes, VerifiedHeader] = {}
    voting: set[bytes] = set()
    window_start = view.head_height - 3 * view.genesis.batch
    for header, _ in view.reader.headers(0, _ALL):
        made[header.proposer] += 1
        newest[header.proposer] = header
        if header.height > window_start and header.mhg < header.height:
            voting.add(header.proposer)
    found = [
        {
            "validator": did_from_key(key),
            "weight": weight,
            "blocks": made[key],
            "share": round(made[key] / max(1, view.head_height), 4),
            "last_height": newest[key].height if key in newest else None,
            "last_slot": newest[key].slot if key in newest else None,
            "votes": key in voting,
        }
        for key, weight in view.genesis.validators
    ]
    document = {**view.at_head, "validators": found}
    columns = ("validator", "weight", "blocks", "share", "last_height", "last_slot", "votes")
    rows = [tuple(f"{item[name]:.1%}" if name == "share" else item[name] for name in columns) for item in found]
    return Answer(document, [Sheet(f"Validators, {as_of(document)}", columns, rows)])


# ----------------------------------------------------------------------------------------------- the register


@_question
@click.option("--limit", type=click.IntRange(1, _ALL), default=20, show_default=True, help="How many at most.")
def top(view: View, limit: int) -> Answer:
    """The members with the highest scores."""
    at_state = view.at_state
    found = [
        {
            "rank": rank,
            "member": did_from_key(member.key),
            **member_summary(view, member),
            **at_state,
        }
        for rank, _, member in ranking(view)[:limit]
    ]
    columns = ("rank", "member", "score", "tier", "record_points", "rated_points", "ratings")
    rows = [tuple(item[name] for name in columns) for item in found]
    return Answer(found, [Sheet(f"Members by score, {as_of(at_state)}", columns, rows)])


@_question
@click.argument("did")
def member(view: View, did: str) -> Answer:
    """One member with the ratings that stand about it and those it gave."""
    try:
        key = key_from_did(did)
    except Refused as refusal:
        raise OperatorError(f"{did!r} is no member's did: {refusal.detail}") from refusal
    ranks = {member.key: rank for rank, _, member in ranking(view)}
    record = view.reader.entry(member_key(key))
    if not isinstance(record, Member) or key not in ranks:
        raise OperatorError(f"{did} is not enrolled {as_of(view.at_state)}")
    received = [rating_document(view, "rater", *row) for row in view.reader.entries(b"r" + key)]
    given = [rating_document(view, "subject", *row) for row in view.reader.ratings_by(key)]
    summary = {"member": did, "rank": ranks[key], **member_summary(view, record), **view.at_state}
    sheets = [facts(f"Member, {as_of(view.at_state)}", summary)]
    for title, other, ratings in (("Ratings received", "rater", received), ("Ratings given", "subject", given)):
        columns = (other, "category", "points", "height")
        sheets.append(Sheet(title, columns, [tuple(item[name] for name in columns) for item in ratings]))
    return Answer({**summary, "received": received, "given": given}, sheets)


@_question
def policy(view: View) -> Answer:
    """The rules in force: tiers, categories and how a score follows."""
    record = view.reader.entry(RULES_KEY)
    rules = view.genesis.policy
    if not isinstance(record, Rules) or record.digest != rules.digest():
        raise corrupt(view.reader.path, "the policy in force is not the genesis's")
    document = {"policy": rules.to_document(), "digest": record.digest.hex(), **view.at_state}
    shown = {
        "name": rules.name,
        "version": rules.version,
        "digest": record.digest.hex(),
        "score": f"{rules.base} + points of ratings, held from {rules.ratings_floor} to {rules.ratings_cap}",
    }
    tiers = [(tier.name, tier.threshold) for tier in rules.tiers]
    ratings = [(item.code, item.name, item.low, item.high) for _, item in sorted(rules.ratings.items())]
    return Answer(
        document,
        [
            facts(f"Policy, {as_of(document)}", shown),
            Sheet("Tiers", ("tier", "from_score"), tiers),
            Sheet("Categories of ratings", ("code", "category", "min", "max"), ratings),
        ],
    )


# ------------------------------------------------------------------------------------------------------ verify


@_question
def verify(view: View) -> Answer:
    """Recheck the whole chain from its genesis; exits with 1 where something is wrong."""
    from scripts.recheck import recheck, signatures  # noqa: PLC0415  # threads, for this command alone

    with _progress(signatures(view.reader)) as advance:
        report = recheck(view.reader, view.genesis, advance)
    problems = [problem._asdict() for problem in report.problems]
    counts = {name: value for name, value in asdict(report).items() if name != "problems"}
    document = {"ok": not problems, **view.at_head, **counts, "problems": problems}
    title = f"{'The chain is wrong' if problems else 'The chain is right'}, {as_of(view.at_head)}"
    sheets = [facts(title, counts)]
    if problems:
        rows = [(problem.height, problem.what) for problem in report.problems]
        sheets.append(Sheet("What is wrong", ("height", "what"), rows))
    return Answer(document, sheets, EXIT_WRONG if problems else 0)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while the block runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=stderr_console(), transient=True) as progress:
        bar = progress.add_task("signatures", total=total)
        yield functools.partial(progress.advance, bar)


if __name__ == "__main__":
    run(inspect_chain)
