"""Registers of growing size, each built and measured."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

import psutil

from chain.base.errors import OperatorError
from chain.consensus.statements import NO_TAG
from chain.content.actions import Rate
from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from chain.protocol.events import SigningState
from chain.protocol.messages import Status
from chain.protocol.production import Producer
from p2p.local.process import calm_collector
from scripts.bench_parts.chainwork import Importer, extend, status_of, unsigned, verify_rate
from scripts.bench_parts.mixed import MAKER
from scripts.bench_parts.register import Everybody, Register
from scripts.bench_parts.startup import apart, disk_mb, node_costs, query_costs
from scripts.console import progress

RECORDS = 10
# Ratings that are imported, in blocks of 500.
IMPORTED = 10_000
# From what was measured: a study stops before the machine does.  A fifth of the disk is needed only while it is built.
DISK_MB_A_MEMBER, SPARE_DISK_MB = 0.006, 2_000
MEMORY_MB_A_MEMBER, SPARE_MEMORY_MB = 0.0002, 500
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One register of so many ``members`` with ten records each.

    Times are CPU time of one process, medians where something was done more than once; ``_wall`` ones hold whatever
    else the machine did.  A block is one of 500 mixed transactions: applying it, of that the root, and bringing it to
    the disk; ``cold`` ones are about members of whom nothing is in memory.  ``import_share`` is how fast ratings whose
    signatures are known are imported, as a part of the rate at which one core checks signatures.
    """

    members: int
    entries: int
    build_s: float
    disk_mb: float
    memory_mb: float
    peak_mb: float
    start_ms: float
    start_wall_ms: float
    proof_bytes: float
    proof_ms: float
    block_ms: float
    root_ms: float
    cold_ms: float
    cold_wall_ms: float
    cold_root_ms: float
    store_ms: float
    store_wall_ms: float
    import_share: float
    verify_per_s: float
    member_ms: float
    top_ms: float


def measure(members: int, folder: Path, *, keep: bool) -> Row:
    """Measure a register in ``folder``, which is built where it is not there, and removed unless one is to ``keep`` it.

    It grows by what is measured, so one that is kept is measured in a copy.  Raises :class:`OperatorError` where it
    does not fit.
    """
    built = build(members, folder)
    home = folder / f"{built.name}.measured"
    if home.exists():
        shutil.rmtree(home)
    if keep:
        shutil.copytree(built, home)
    else:
        built.rename(home)
    size = disk_mb(home)
    queries = apart(query_costs, home)
    node = apart(node_costs, home)
    imported = apart(import_costs, home)
    took_s = float((home / "built").read_text(encoding="utf-8"))
    shutil.rmtree(home)
    return Row(
        members=members,
        entries=node.entries,
        build_s=took_s,
        disk_mb=round(size, 1),
        memory_mb=round(node.memory_mb, 1),
        peak_mb=round(node.peak_mb, 1),
        start_ms=_ms(node.start.cpu_s),
        start_wall_ms=_ms(node.start.wall_s),
        proof_bytes=round(node.proof_bytes),
        proof_ms=_ms(node.proof.cpu_s),
        block_ms=_ms(node.warm.apply.cpu_s),
        root_ms=_ms(node.warm.root.cpu_s),
        cold_ms=_ms(node.cold.apply.cpu_s),
        cold_wall_ms=_ms(node.cold.apply.wall_s),
        cold_root_ms=_ms(node.cold.root.cpu_s),
        store_ms=_ms(node.cold.store.cpu_s),
        store_wall_ms=_ms(node.cold.store.wall_s),
        import_share=round(imported.per_s / imported.verify_per_s, 2),
        verify_per_s=round(imported.verify_per_s),
        member_ms=_ms(queries.member.cpu_s),
        top_ms=_ms(queries.top.cpu_s),
    )


def _ms(seconds: float) -> float:
    return round(1_000 * seconds, 2)


def build(members: int, folder: Path) -> Path:
    """The home of a register in ``folder``; what was left unfinished there is begun anew.

    Raises :class:`OperatorError` where it does not fit.
    """
    home, draft = folder / f"register-{members}", folder / f"register-{members}.unfinished"
    if not home.exists():
        if draft.exists():
            shutil.rmtree(draft)
        check_room(members, folder)
        began = time.monotonic()
        register = Register(members, RECORDS)
        with progress("entries, each twice", 2 * register.entries) as advance:
            register.write(draft, advance, time.time_ns() // 1_000_000)
        (draft / "built").write_text(f"{time.monotonic() - began:.0f}", encoding="utf-8")
        draft.rename(home)
    return home


def check_room(members: int, folder: Path) -> None:
    """Raise :class:`OperatorError` where a register would not fit the disk or the memory."""
    disk = shutil.disk_usage(folder).free / _MB - SPARE_DISK_MB
    memory = psutil.virtual_memory().available / _MB - SPARE_MEMORY_MB
    for what, needed, free in (
        ("disk", members * DISK_MB_A_MEMBER, disk),
        ("memory", members * MEMORY_MB_A_MEMBER, memory),
    ):
        if needed > free:
            raise OperatorError(
                f"{members:,} members take about {needed:,.0f} MB of {what} in {folder}, and {max(0.0, free):,.0f} MB "
                "can be used; measure fewer, free some, or name another folder with --at"
            )


class Imported(NamedTuple):
    """Ratings a second, and signatures that one core checked a second just before and after."""

    per_s: float
    verify_per_s: float


def import_costs(home: Path) -> Imported:
    """Let a stopped node of this home sync blocks of 500 ratings among random members, of signatures that are known."""
    genesis = load_genesis(home / "genesis.json")
    raws, head = _blocks_on_top(home)
    with closing(Storage(home / DATABASE, genesis)) as storage:
        importer = Importer(storage, head)
        calm_collector()
        before = verify_rate()
        seconds = importer.run(raws, check_signatures=False)
        return Imported(IMPORTED / seconds, (before + verify_rate()) / 2)


def _blocks_on_top(home: Path) -> tuple[list[bytes], Status]:
    """Blocks that go on from a home's head, which stays where it is."""
    genesis, random = load_genesis(home / "genesis.json"), Random(3)
    with closing(Storage(home / DATABASE, genesis)) as storage:
        chain, signing = storage.load()
        everybody, nonces = Everybody(_members(home)), dict[bytes, int]()
        transactions = []
        for _ in range(IMPORTED):
            rater, subject = random.sample(everybody, 2)
            nonce = nonces.get(rater, chain.ledger.next_nonce(rater) or 0)
            nonces[rater] = nonce + 1
            transactions.append(unsigned(genesis.id, rater, nonce, Rate(subject, 1_000, random.randint(-10, 10))))
        raws = extend(chain, [Producer(genesis, MAKER, signing or SigningState(), NO_TAG)], transactions)
        return raws, status_of(chain)


def _members(home: Path) -> int:
    with closing(Reader(home / DATABASE, load_genesis(home / "genesis.json"))) as reader:
        return reader.count_members()
