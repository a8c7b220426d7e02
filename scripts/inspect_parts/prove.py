"""Making a proof (:mod:`scripts.inspect_parts.proof`) from a home's database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from chain.blockchain import Blockchain
from chain.database import corrupt
from chain.errors import InvariantBroken, OperatorError
from chain.headers import Header
from chain.state import VALIDATORS_KEY, encode_entry
from chain.statetree import StateTree
from chain.validators import Validators, voting_set
from scripts.chain_view import View
from scripts.inspect_parts.proof import ProofFile, Run, Shown, check_evidence, count, encode_evidence, needed

_READ_BLOCKS = 16
# Headers until one is final, where everybody follows the rules: two rounds and a little.  Where finality stalls it
# takes more, and they are read as they are needed.
_READ_HEADERS = 16
_NEVER = 2**63


class _Announcement(NamedTuple):
    """A change of the validators: the entry where it was announced, its path, and since when it is in force."""

    validators: Validators
    path: bytes
    start: int


def prove(view: View, key: bytes, advance: Callable[[int], None]) -> bytes:
    """The file that shows where the owner of ``key`` stands in the stored state.

    Raises :class:`OperatorError` where the stored headers do not prove that state final.
    """
    height = view.at_state["as_of_height"]
    if not height:
        raise OperatorError("nothing but the genesis is final yet; prove it once the node has made or synced blocks")
    tree = StateTree.build(view.reader.state_rows())
    header = view.reader.snapshot_header()
    if header is None or tree.root != header.state_root:
        raise corrupt(view.reader.path, "the stored state is not that of its header")
    entries = []
    for at in needed(key, view.reader.entry):
        entry = view.reader.entry(at)
        value = b"" if entry is None else encode_entry(entry)
        entries.append(Shown(at, int(entry is not None), value, tree.prove(at).encode()))
    data = encode_evidence(view.genesis, ProofFile(key, height, _runs(view, height, advance), tuple(entries)))
    check_evidence(view.genesis, data)
    return data


def _runs(view: View, height: int, advance: Callable[[int], None]) -> tuple[Run, ...]:
    """The headers that make ``height`` final, each run under one set of validators."""
    validators = view.reader.entry(VALIDATORS_KEY)
    if not isinstance(validators, Validators):
        raise InvariantBroken("the stored state has no validators")
    if not validators.next and voting_set(validators.active) == view.genesis.validators:
        return (_last_run(view, view.genesis.validators, height, height, None),)
    changes = _changes(view, height, advance)
    seats, runs = view.genesis.validators, []
    pending = None
    for change in changes:
        if change.start > height:
            pending = change
            break
        decided = change.validators.decided_height
        headers = [header for header, _ in view.reader.headers(decided, change.start - decided)]
        runs.append(_run(headers, change))
        seats = voting_set(change.validators.next)
    first = height if pending is None else pending.validators.decided_height
    return (*runs, _last_run(view, seats, first, height, pending))


def _last_run(
    view: View, seats: tuple[tuple[bytes, int], ...], first: int, height: int, change: _Announcement | None
) -> Run:
    """From ``first``, as few headers as make ``height`` final."""
    announced = None if change is None else change.validators
    headers: list[Header] = []
    while len(headers) < view.head_height - first + 1:
        headers += [header for header, _ in view.reader.headers(first + len(headers), _READ_HEADERS)]
        if count(view.genesis, seats, headers, announced).finalized >= height:
            while count(view.genesis, seats, headers[:-1], announced).finalized >= height:
                headers.pop()
            return _run(headers, change)
    raise OperatorError(
        f"the stored headers alone do not prove height {height} final; try again once the node has more blocks"
    )


def _run(headers: Sequence[Header], change: _Announcement | None) -> Run:
    raws = tuple(header.raw for header in headers)
    return Run(raws, b"", b"") if change is None else Run(raws, encode_entry(change.validators), change.path)


def _changes(view: View, height: int, advance: Callable[[int], None]) -> list[_Announcement]:
    """Every change announced up to ``height``, found by executing the chain again.

    ``start`` is the height from which it is in force, :data:`_NEVER` if it is not yet.
    """
    chain = Blockchain(view.genesis)
    found: list[_Announcement] = []
    for start in range(1, view.head_height + 1, _READ_BLOCKS):
        for block in view.reader.blocks(start, _READ_BLOCKS):
            at = block.header.height
            chain.add(block, arrived_in_slot=True)
            validators = chain.ledger.validators
            since = chain.next_votes.newest_set.start
            if found and found[-1].start == _NEVER and since > found[-1].validators.decided_height:
                found[-1] = found[-1]._replace(start=since)
            if validators.decided_height == at:
                path = StateTree.build(chain.ledger.state.items()).prove(VALIDATORS_KEY)
                found.append(_Announcement(validators, path.encode(), _NEVER))
        chain.settle()
        advance(_READ_BLOCKS)
    return [change for change in found if change.validators.decided_height <= height]
