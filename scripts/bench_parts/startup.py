"""What a register of some size costs a node and those who look into it, each measured in a process of its own.

Times are CPU seconds unless they are called wall: other work on the machine stretches the latter.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any, NamedTuple, TypeVar

import psutil

from chain.base.errors import InvariantBroken, Refused
from chain.base.keys import check_public_key, did_from_key
from chain.branches.blockchain import Settled
from chain.branches.ledger import Ledger
from chain.consensus.votes import Votes
from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from chain.documents.people import members
from chain.protocol.events import Commit
from chain.register.entries import Member, Rating, Record
from chain.register.scores import Line, explain
from chain.register.statekeys import RATINGS, RECORDS, member_key, read_rating_key, read_record_key
from chain.tree.stateproof import verify_proof
from p2p.local.process import calm_collector
from scripts.bench_parts.mixed import BLOCK_TRANSACTIONS, Applier
from scripts.bench_parts.register import Everybody

BLOCKS = 11
# Members and entries that are looked up, proved, explained.
SAMPLE = 50
# Members of whom everything is in memory before long.
WARM = 1_000
TOP = 20
INSPECT = Path(__file__).resolve().parents[1] / "inspect_chain.py"
_MB = 1_000_000
_T = TypeVar("_T")


class Time(NamedTuple):
    """How long something took; ``wall`` includes waiting for the disk and for other processes."""

    cpu_s: float
    wall_s: float


class BlockCosts(NamedTuple):
    """A block of 500 mixed transactions, medians: applying it, the root within that, and bringing it to the disk."""

    apply: Time
    root: Time
    store: Time


@dataclass(frozen=True, slots=True)
class NodeCosts:
    """A node that starts with a register and applies blocks of 500 mixed transactions to it.

    ``memory_mb`` is its resident memory after all blocks, ``peak_mb`` the most until then.  ``proof_bytes`` is a mean,
    ``proof`` a median.  Each ``cold`` block is about members that no block was about before, and nothing of the file
    was in memory at the start; ``warm`` ones are about a thousand members, who are all in memory after the first.
    """

    entries: int
    start: Time
    memory_mb: float
    peak_mb: float
    proof_bytes: float
    proof: Time
    cold: BlockCosts
    warm: BlockCosts


@dataclass(frozen=True, slots=True)
class QueryCosts:
    """Medians: one member with its records, rank and explanation, and the best members."""

    member: Time
    top: Time


def apart(measure: Callable[[Path], _T], home: Path) -> _T:
    """``measure(home)`` in a fresh process, whose memory holds nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, home).result()


def disk_mb(home: Path) -> float:
    """What a home takes on the disk."""
    return sum(file.stat().st_size for file in home.iterdir()) / _MB


def node_costs(home: Path) -> NodeCosts:
    """Start a node's chain from this home and extend it.  The home has grown by some blocks afterwards."""
    genesis = load_genesis(home / "genesis.json")
    calm_collector()
    forget(home)
    storage = Storage(home / DATABASE, genesis)
    (chain, _), start = timed(storage.load)
    calm_collector()
    ledger = chain.ledger
    with closing(Reader(home / DATABASE, genesis)) as reader:
        everybody = Everybody(reader.count_members())
        entries, proofs = len(ledger.state), [_proof(ledger, member) for member in Random(1).sample(everybody, SAMPLE)]
        cold = _blocks(storage, Applier(ledger, everybody, 1, reader.view))
        some = Random(2).sample(everybody, min(WARM, len(everybody)))
        warm = _blocks(storage, Applier(ledger, some, 2, reader.view))
    memory = psutil.Process().memory_info().rss / _MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MB
    storage.close()
    size, proof = mean(size for size, _ in proofs), _median([spent for _, spent in proofs])
    return NodeCosts(entries, start, memory, peak, size, proof, cold, warm)


def forget(home: Path) -> None:
    """Let the operating system forget what it holds of a home's files, where it can be told so."""
    if hasattr(os, "posix_fadvise"):
        for file in (each for each in home.iterdir() if each.is_file()):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _blocks(storage: Storage, applier: Applier) -> BlockCosts:
    """Blocks on top of a ledger, each on disk before the next."""
    ledger, genesis = applier.ledger, applier.ledger.genesis
    applied, roots, stored = [], [], []
    for _ in range(BLOCKS):
        transactions = applier.mixed(BLOCK_TRANSACTIONS)
        applier.cpu_s = applier.wall_s = applier.root_cpu_s = applier.root_wall_s = 0.0
        block = applier.block(transactions)
        applied.append(Time(applier.cpu_s, applier.wall_s))
        roots.append(Time(applier.root_cpu_s, applier.root_wall_s))
        height = block.header.height
        votes = Votes.genesis(genesis.validators, genesis.batch, height)
        changes, tree = ledger.settle(height)
        settled = Settled(block.header, votes, changes, (), tree)
        commit = Commit(adopted=(block,), finalized_height=height, settled=settled)
        _, spent = timed(lambda commit=commit: storage.commit([commit]))  # type: ignore[misc]
        stored.append(spent)
    return BlockCosts(_median(applied), _median(roots), _median(stored))


def _proof(ledger: Ledger, member: bytes) -> tuple[int, Time]:
    key = member_key(member)
    proof, spent = timed(lambda: ledger.prove(key))
    if not verify_proof(ledger.state_root, key, ledger.state[key], proof):
        raise InvariantBroken(f"the proof of {key.hex()} does not hold")
    return len(proof.encode()), spent


def query_costs(home: Path) -> QueryCosts:
    """Look into a home that no node runs in."""
    reader = Reader(home / DATABASE, load_genesis(home / "genesis.json"))
    known = Random(1).sample(Everybody(reader.count_members()), SAMPLE)
    lookups = _median([timed(lambda key=key: look_up(reader, key))[1] for key in known])  # type: ignore[misc]
    tops = _median([timed(lambda: best(reader))[1] for _ in range(SAMPLE)])
    reader.close()
    return QueryCosts(lookups, tops)


def command_costs(home: Path) -> QueryCosts:
    """The same as whole commands of ``inspect_chain.py``: the interpreter, its imports, the answer."""
    reader = Reader(home / DATABASE, load_genesis(home / "genesis.json"))
    member = next(identity for identity, _ in members(reader.view()) if _is_key(identity))
    reader.close()
    return QueryCosts(_command(home, "member", did_from_key(member)), _command(home, "top"))


def look_up(reader: Reader, identity: bytes) -> tuple[int, list[Line]]:
    """A member's rank and the explanation of its score, which must add up."""
    with reader.consistent():
        view = reader.view()
        member = view.get(member_key(identity))
        if not isinstance(member, Member):
            raise InvariantBroken(f"{did_from_key(identity)} is no member")
        records = [(read_record_key(key)[1], entry) for key, entry in view.entries(RECORDS + identity, Record)]
        ratings = [(*read_rating_key(key)[1:], entry) for key, entry in view.entries(RATINGS + identity, Rating)]
        lines = explain(view.policy, member, records, ratings)
        return reader.rank(sum(line.points for line in lines)), lines


def best(reader: Reader) -> list[tuple[int, Any]]:
    """The best members, each with its score."""
    with reader.consistent():
        reader.count_members()
        return [(score, reader.entry(member_key(identity))) for identity, score in reader.standings(TOP)]


def timed(work: Callable[[], _T]) -> tuple[_T, Time]:
    """What ``work`` returns, and how long it took in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    return made, Time(time.process_time() - cpu, time.perf_counter() - wall)


def _is_key(identity: bytes) -> bool:
    """Whether this is a point of the curve, as every other of the made-up members is."""
    try:
        check_public_key(identity)
    except Refused:
        return False
    return True


def _command(home: Path, *words: str) -> Time:
    command = [sys.executable, str(INSPECT), words[0], "--home", str(home), "--json", *words[1:]]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Time(cpu_s, time.perf_counter() - wall)


def _median(times: list[Time]) -> Time:
    return Time(median(time.cpu_s for time in times), median(time.wall_s for time in times))
