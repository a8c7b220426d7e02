"""What a running node tells: what happened, as logs and metrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from chain.base.errors import Refused
from chain.base.keys import did_from_key
from chain.branches.stall import Stall, stall_of
from chain.content.blocks import Block
from chain.documents.chronicle import header_document
from chain.documents.people import Document
from chain.protocol.clock import Mute
from chain.protocol.engine import Engine
from chain.protocol.events import Commit, Effect, Equivocation, Fault, Finalized, HeadMoved, Notice, Penalise, Silenced
from chain.protocol.outlook import equivocation_document
from p2p.clocks import wall_ms
from p2p.local.attendance import Attendance
from p2p.local.broadcast import Broadcast
from p2p.local.metrics import OfTheNode, OfTheProcess, Watched

# Head moves that GET /heads remembers: a quarter of an hour of one-second slots.
MAX_HEADS = 1_024
# Pairs of statements that GET /evidence remembers.
MAX_EQUIVOCATIONS = 64

_OF_FINAL = ("id", "height", "slot", "time")
_OF_REORG = ("depth", "id", "height", "slot", "at_ms")

# All nodes of one version do the same: one that does it alone runs another, or its state is another.
_REPORT = (
    "the chain goes on, on every node alike: send this line to who maintains Goodfaith, and run the version that mends "
    "it; where no other node says this and this one refuses their blocks, it runs another version than they do"
)

log = structlog.get_logger("node")


class Telemetry:
    """What a node tells the world about itself: logs, ``/metrics`` and the last head moves.

    Times are in seconds, as Prometheus wants them.  ``transactions`` is how many the main chain holds at start,
    ``unfinal`` its blocks that are not final by then, and ``when_stalled`` what an operator does where nothing becomes
    final.
    """

    def __init__(
        self,
        transactions: int = 0,
        own_key: bytes | None = None,
        when_stalled: str = "",
        counted_from: int = 1,
        unfinal: Iterable[Block] = (),
    ) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.transaction_count = transactions
        # Of durable blocks above the final one, by height.
        self._unfinal = _counts(unfinal)
        self.counted_from = counted_from
        self.reorg_count = 0
        self.fault_count = 0
        self.heads: deque[Document] = deque(maxlen=MAX_HEADS)
        self.equivocations: deque[Document] = deque(maxlen=MAX_EQUIVOCATIONS)
        self.events = Broadcast()
        self._head_count = 0
        self._own_key = own_key
        self._when_stalled = when_stalled
        self._is_stalled = False
        self._stalled = Gauge("goodfaith_stalled", "1 while nothing new becomes final", registry=registry)
        self._transactions = Counter("goodfaith_transactions", "Transactions adopted in blocks", registry=registry)
        self._reorgs = Counter("goodfaith_reorgs", "Head moves that abandoned a block", registry=registry)
        self._faults = Counter("goodfaith_faults", "Matters put aside for a fault of this version", registry=registry)
        self._refused = Counter("goodfaith_mempool_failed_txs", "Submissions refused", ["reason"], registry=registry)
        self._equivocations = Counter("goodfaith_equivocations", "Pairs of headers for one slot", registry=registry)
        self._silent = Gauge(
            "goodfaith_silent", "1 while this validator makes no blocks, by the reason", ["why"], registry=registry
        )
        self._signs_again = Gauge(
            "goodfaith_signs_again_seconds",
            "Unix time at which a silent validator signs again, 0 if unknown",
            registry=registry,
        )
        registry.register(OfTheProcess())
        ProcessCollector(registry=registry)
        self._attendance = Attendance(registry)
        self._block_delay = Histogram(
            "goodfaith_block_delay_seconds",
            "From a slot's start to its block being the head here",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5),
            registry=registry,
        )
        self._commit = Histogram(
            "goodfaith_commit_seconds",
            "Durable commits to the database",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1),
            registry=registry,
        )

    def begin(self, node: Watched) -> None:
        """Show where a node stands, from now on."""
        self.registry.register(OfTheNode(node))
        self._attendance.begin(node.engine)

    def tell(self, effect: Effect, engine: Engine) -> None:
        """Log and count an effect, if people may want to know."""
        match effect:
            case HeadMoved():
                self._attendance.head_moved(effect.header, effect.depth, engine)
                self._tell_head(effect, engine)
                self._tell_stall(stall_of(engine.chain))
            case Finalized(header):
                self._attendance.finalized(header, engine)
                log.info("final", height=header.height, id=header.id.hex()[:12])
                told = header_document(engine.genesis, header)
                self.events.tell("final", {name: told[name] for name in _OF_FINAL} | {"at_ms": wall_ms()})
            case Equivocation(first, second):
                self._equivocations.inc()
                self.equivocations.append(equivocation_document(first, second, wall_ms()))
                self.events.tell("evidence", self.equivocations[-1])
                ids = f"{first.id.hex()[:12]} {second.id.hex()[:12]}"
                log.warning("equivocation", validator=did_from_key(first.speaker), height=first.height, ids=ids)
            case Penalise(peer, refusal):
                log.warning("penalty", peer=peer, why=str(refusal))
            case Silenced(mute):
                self._tell_silence(mute)
                log.warning(effect.notice.name, text=effect.notice.text)
            case Notice(name, text):
                log.warning(name, text=text)
            case Fault(text):
                self.fault_count += 1
                self._faults.inc()
                log.error("fault", text=text, remedy=_REPORT)
            case _:
                pass

    def _tell_stall(self, stall: Stall | None) -> None:
        if self._is_stalled == (stall is not None):
            return
        self._is_stalled = stall is not None
        self._stalled.set(self._is_stalled)
        if stall is None:
            log.info("finality_goes_on")
            return
        log.warning(
            "finality_stands_still",
            height=stall.height,
            heard=stall.heard,
            needed=stall.needed,
            missing=" ".join(map(did_from_key, stall.missing)),
            remedy=self._when_stalled,
        )

    @property
    def final_count(self) -> int:
        """How many of the transactions are in blocks that are final, and as durable as those that are counted."""
        return self.transaction_count - sum(self._unfinal.values())

    def tell_commit(self, commit: Commit, seconds: float) -> None:
        """Count a commit that became durable."""
        self._commit.observe(seconds)
        adopted, abandoned = _counts(commit.adopted), _counts(commit.abandoned)
        self.transaction_count += sum(adopted.values()) - sum(abandoned.values())
        for height in abandoned:
            self._unfinal.pop(height, None)
        self._unfinal |= adopted
        if commit.finalized_height is not None:
            self._unfinal = {height: n for height, n in self._unfinal.items() if height > commit.finalized_height}
        self._transactions.inc(sum(adopted.values()))

    def tell_outcomes(self, outcomes: Sequence[Refused | None]) -> None:
        """Count what was submitted and refused."""
        for outcome in outcomes:
            if outcome is not None:
                self._refused.labels(outcome.reason.code).inc()

    def _tell_silence(self, mute: Mute | None) -> None:
        self._silent.clear()
        if mute is not None:
            self._silent.labels(mute.kind).set(1)
        self._signs_again.set(0 if mute is None or mute.until_ms is None else mute.until_ms // 1000)

    def _tell_head(self, moved: HeadMoved, engine: Engine) -> None:
        header = moved.header
        self._head_count += 1
        self.heads.append(
            {
                "seq": self._head_count,
                **header_document(engine.genesis, header),
                "transactions": moved.transactions,
                "at_ms": wall_ms(),
                "delay_ms": moved.delay_ms,
                "depth": moved.depth,
                "made_here": header.proposer == self._own_key,
            }
        )
        self._block_delay.observe(max(0, moved.delay_ms) / 1000)
        facts = {"height": header.height, "id": header.id.hex()[:12], "slot": header.slot}
        facts |= {"transactions": moved.transactions, "delay_ms": moved.delay_ms}
        if moved.depth:
            self.reorg_count += 1
            self._reorgs.inc()
            self.events.tell("reorg", {name: self.heads[-1][name] for name in _OF_REORG})
            log.info("reorg", depth=moved.depth, **facts)
        else:
            log.info("head", **facts)
        self.events.tell("head", self.heads[-1])


def _counts(blocks: Iterable[Block]) -> dict[int, int]:
    return {block.header.height: len(block.transactions) for block in blocks}
