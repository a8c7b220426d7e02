"""What a running node tells: what happened, as logs and metrics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from chain.clock import Mute
from chain.engine import Engine
from chain.errors import Refused
from chain.events import Commit, Effect, Equivocation, Finalized, HeadMoved, Notice, Penalise, Silenced
from chain.keys import did_from_key
from p2p.local.logs import LOST

# Head moves that GET /heads remembers: a quarter of an hour of one-second slots.
MAX_HEADS = 1_024

log = structlog.get_logger("node")


class Telemetry:
    """What a node tells the world about itself: logs, ``/metrics`` and the last head moves.

    Times are in seconds, as Prometheus wants them.  ``transactions`` is how many the main chain holds at start.
    """

    def __init__(self, transactions: int = 0, own_key: bytes | None = None) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.transaction_count = transactions
        self.reorg_count = 0
        self.heads: deque[dict[str, Any]] = deque(maxlen=MAX_HEADS)
        self._head_count = 0
        self._own_key = own_key
        self._height = Gauge("goodfaith_height", "Height of the head", registry=registry)
        self._final = Gauge("goodfaith_finalized_height", "Height up to which the chain is final", registry=registry)
        self._mempool = Gauge("goodfaith_mempool_transactions", "Transactions that wait", registry=registry)
        self._transactions = Counter("goodfaith_transactions", "Transactions adopted in blocks", registry=registry)
        self._reorgs = Counter("goodfaith_reorgs", "Head moves that abandoned a block", registry=registry)
        self._refused = Counter("goodfaith_refused", "Submissions refused", ["reason"], registry=registry)
        self._penalties = Counter("goodfaith_penalties", "Peers penalised", ["reason"], registry=registry)
        self._equivocations = Counter("goodfaith_equivocations", "Pairs of headers for one slot", registry=registry)
        self._silent = Gauge(
            "goodfaith_silent", "1 while this validator signs nothing, by the reason", ["why"], registry=registry
        )
        self._signs_again = Gauge(
            "goodfaith_signs_again_seconds",
            "Unix time at which a silent validator signs again, 0 if unknown",
            registry=registry,
        )
        registry.register(_LostLines())
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

    def show(self, engine: Engine) -> None:
        """Set the gauges to where the node stands."""
        self._height.set(engine.chain.head.header.height)
        self._final.set(engine.chain.finalized.height)
        self._mempool.set(len(engine.mempool))

    def tell(self, effect: Effect, engine: Engine) -> None:
        """Log and count an effect, if people may want to know."""
        match effect:
            case HeadMoved():
                self._mempool.set(len(engine.mempool))
                self._tell_head(effect)
            case Finalized(header):
                self._final.set(header.height)
                log.info("final", height=header.height, id=header.id.hex()[:12])
            case Equivocation(first, second):
                self._equivocations.inc()
                ids = f"{first.id.hex()[:12]} {second.id.hex()[:12]}"
                log.warning("equivocation", validator=did_from_key(first.proposer), slot=first.slot, ids=ids)
            case Penalise(peer, refusal):
                self._penalties.labels(refusal.reason.code).inc()
                log.warning("penalty", peer=peer, why=str(refusal))
            case Silenced(mute):
                self._tell_silence(mute)
                log.warning(effect.notice.name, text=effect.notice.text)
            case Notice(name, text):
                log.warning(name, text=text)
            case _:
                pass

    def tell_commit(self, commit: Commit, seconds: float) -> None:
        """Count a commit that became durable."""
        self._commit.observe(seconds)
        adopted = sum(len(block.transactions) for block in commit.adopted)
        self.transaction_count += adopted - sum(len(block.transactions) for block in commit.abandoned)
        self._transactions.inc(adopted)

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

    def _tell_head(self, moved: HeadMoved) -> None:
        header = moved.header
        self._head_count += 1
        self.heads.append(
            {
                "seq": self._head_count,
                "id": header.id.hex(),
                "height": header.height,
                "slot": header.slot,
                "transactions": moved.transactions,
                "at_ms": time.time_ns() // 1_000_000,
                "made_here": header.proposer == self._own_key,
            }
        )
        self._height.set(header.height)
        self._block_delay.observe(max(0, moved.delay_ms) / 1000)
        facts = {"height": header.height, "id": header.id.hex()[:12], "slot": header.slot}
        facts |= {"transactions": moved.transactions, "delay_ms": moved.delay_ms}
        if moved.depth:
            self.reorg_count += 1
            self._reorgs.inc()
            log.info("reorg", depth=moved.depth, **facts)
        else:
            log.info("head", **facts)


class _LostLines(Collector):
    """The lines that the log of this process lost, as of the moment when somebody asks."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One counter, by what became of the lines."""
        family = CounterMetricFamily("goodfaith_log_lines_lost", "Lines of the log not written", labels=["why"])
        for why in ("unread", "repeated"):
            family.add_metric([why], LOST[why])
        yield family
