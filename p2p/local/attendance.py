"""Who of the validators did its part, as this node sees it: slots without a block, final blocks without a word."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from chain.base.keys import did_from_key
from chain.consensus.electorate import Electorate
from chain.consensus.headers import Header
from chain.protocol.engine import Engine

_LABELS = ["validator_address"]


class Attendance:
    """Counts both, by validator.

    *Slots missed* are those that passed without a block of their leader while something was on its way: transactions
    that waited here, or changes that were not final.  An idle network leaves slots out, and nobody misses those.
    *Blocks missed* are final blocks about which a validator had said nothing when this node learned that they are.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._slots = Counter(
            "goodfaith_slots_missed",
            "Slots in which a leader made no block though one was due",
            _LABELS,
            registry=registry,
        )
        self._blocks = Gauge(
            "goodfaith_consensus_validator_missed_blocks",
            "Final blocks about which a validator had said nothing",
            _LABELS,
            registry=registry,
        )
        self._missing = Gauge(
            "goodfaith_consensus_missing_validators",
            "Validators that had said nothing about the newest final block",
            registry=registry,
        )
        self._due: tuple[Header, Electorate] | None = None
        self._final = 0

    def begin(self, engine: Engine) -> None:
        """Show every validator from the start, and count from what is final now."""
        self._final = engine.chain.finalized.height
        for key in engine.chain.electorate.leaders:
            self._slots.labels(did_from_key(key))
            self._blocks.labels(did_from_key(key))

    def head_moved(self, header: Header, depth: int, engine: Engine) -> None:
        """A block came: whose slots before it passed in vain, and is the next one due?"""
        chain = engine.chain
        if self._due is not None and not depth and not engine.sync.is_downloading:
            before, electorate = self._due
            for slot in range(before.slot + 1, header.slot):
                self._slots.labels(did_from_key(electorate.leader(slot))).inc()
        is_due = len(engine.mempool) > 0 or chain.ledger.is_changed_above(chain.finalized.height)
        self._due = (header, chain.electorate) if is_due else None

    def finalized(self, header: Header, engine: Engine) -> None:
        """Blocks became final: who had said nothing about them?"""
        for height in range(self._final + 1, header.height + 1):
            row = engine.chain.head.votes.row(height)
            if row is not None:
                silent = [key for key in row.electorate.current.leaders if key not in row.said]
                self._missing.set(len(silent))
                for key in silent:
                    self._blocks.labels(did_from_key(key)).inc()
        self._final = max(self._final, header.height)
