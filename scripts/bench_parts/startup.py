"""What a register of some size costs a node and those who look into it, each measured in a process of its own.

Times are CPU seconds unless they are called wall: other work on the machine stretches the latter.
"""

from __future__ import annotations

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

from chain.blockchain import Settled
from chain.database import DATABASE
from chain.documents import members
from chain.entries import Member, Rating, Record
from chain.errors import InvariantBroken, Refused
from chain.events import Commit
from chain.genesis import Genesis, load_genesis
from chain.keys import check_public_key, did_from_key
from chain.ledger import Ledger
from chain.reader import Reader
from chain.scores import Line, explain
from chain.statekeys import RATINGS, RECORDS, member_key, read_rating_key, read_record_key
from chain.statetree import verify_proof
from chain.storage import Storage
from chain.votes import Votes
from node import calm_collector
from scripts.bench_parts.mixed import BLOCK_TRANSACTIONS, Applier

BLOCKS = 11
# Members and entries that are looked up, proved, explained.
SAMPLE = 50
TOP = 20
INSPECT = Path(__file__).resolve().parents[1] / "inspect_chain.py"
_MB = 1_000_000
_T = TypeVar("_T")


class Time(NamedTuple):
    """How long something took; ``wall`` includes waiting for the disk and for other processes."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class NodeCosts:
    """A node that starts with a register and applies blocks of 500 mixed transactions to it.

    ``memory_mb`` is its resident memory once it has started, ``peak_mb`` the most until then.  ``proof_bytes`` are
    means, ``block`` and ``store`` medians a block: applying it, and bringing it and its changes to the disk.
    """

    entries: int
    start: Time
    memory_mb: float
    peak_mb: float
    proof_bytes: float
    block: Time
    store: Time


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
    storage = Storage(home / DATABASE, genesis)
    (chain, _), start = timed(storage.load)
    memory = psutil.Process().memory_info().rss / _MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MB
    calm_collector()
    ledger, random = chain.ledger, Random(1)
    entries = len(ledger.state)
    enrolled = _enrolled(home, genesis)
    proved = [member_key(member) for member in random.sample(enrolled, SAMPLE)]
    proofs = [_proof_bytes(ledger, key) for key in proved]
    applier = Applier(ledger, chain.head.header.id, enrolled)
    applied, stored = [], []
    for _ in range(BLOCKS):
        transactions = applier.mixed(BLOCK_TRANSACTIONS)
        applier.cpu_s = applier.wall_s = 0.0
        block = applier.block(transactions)
        applied.append(Time(applier.cpu_s, applier.wall_s))
        height = block.header.height
        votes = Votes.genesis(genesis.validators, genesis.batch, height)
        changes, tree = ledger.settle(height)
        settled = Settled(block.header, votes, changes, (), tree)
        commit = Commit(adopted=(block,), finalized_height=height, settled=settled)
        _, spent = timed(lambda commit=commit: storage.commit([commit]))  # type: ignore[misc]
        stored.append(spent)
    storage.close()
    return NodeCosts(entries, start, memory, peak, mean(proofs), _median(applied), _median(stored))


def _enrolled(home: Path, genesis: Genesis) -> list[bytes]:
    with closing(Reader(home / DATABASE, genesis)) as reader:
        return sorted(identity for identity, _ in reader.standings(2**62))


def _proof_bytes(ledger: Ledger, key: bytes) -> int:
    proof = ledger.prove(key)
    if not verify_proof(ledger.state_root, key, ledger.state[key], proof):
        raise InvariantBroken(f"the proof of {key.hex()} does not hold")
    return len(proof.encode())


def query_costs(home: Path) -> QueryCosts:
    """Look into a home that no node runs in."""
    reader = Reader(home / DATABASE, load_genesis(home / "genesis.json"))
    random = Random(1)
    known = [identity for identity, _ in random.sample(list(members(reader.view())), SAMPLE)]
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
