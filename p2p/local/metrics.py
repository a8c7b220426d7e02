"""Where a running node stands, as metrics of the moment when somebody asks for them.

Names are CometBFT's (``consensus_…``, ``p2p_…``, ``mempool_…``, ``blocksync_…``) and the beacon chain clients'
(``head_slot``, ``slot``, ``reorgs_total``) where they mean the same, each after ``goodfaith_``, where CometBFT puts
its own namespace.  A validator's address is its did.  What is counted as it happens is in :mod:`p2p.local.telemetry`.
Sources: docs.cometbft.com, "Metrics"; github.com/ethereum/beacon-metrics.
"""

from __future__ import annotations

from p2p.local.commandline import version

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chain.base.keys import did_from_key
from chain.disk.database import DATABASE
from chain.protocol.engine import Engine
from p2p.limits import TRAFFIC
from p2p.local.home import Home
from p2p.local.logs import LOST
from p2p.protocol import BLOCKS, TRANSACTIONS
from p2p.reputation import BLAMED, REFUSED

if TYPE_CHECKING:
    from p2p.network import Transport


class Watched(Protocol):
    """What the metrics need of a running node."""

    home: Home
    engine: Engine
    transport: Transport

    def now_ms(self) -> int:
        """Unix milliseconds."""


class OfTheNode(Collector):
    """Chain, validators, peers, sync and disk of one node."""

    def __init__(self, node: Watched) -> None:
        self._node = node
        self._version = version()

    def collect(self) -> Iterator[Metric]:
        """Every metric, with its values of now."""
        yield from self._chain()
        yield from self._validators()
        yield from self._network()
        yield from self._disk()
        yield _gauge("build_info", "1, by the version that runs", {self._version: 1}, "version")

    def _chain(self) -> Iterator[Metric]:
        engine, genesis = self._node.engine, self._node.home.genesis
        head, final = engine.chain.head.header, engine.chain.finalized
        yield _gauge("consensus_height", "Height of the head", head.height)
        yield _gauge("finalized_height", "Height up to which the chain is final", final.height)
        yield _gauge("finality_lag_blocks", "Blocks of the main chain that are not final", head.height - final.height)
        yield _gauge("slot", "Slot that it is now", genesis.slot_at(self._node.now_ms()))
        yield _gauge("head_slot", "Slot of the head", head.slot)
        yield _gauge("mempool_size", "Transactions that wait", len(engine.mempool))

    def _validators(self) -> Iterator[Metric]:
        node = self._node
        votes, own = node.engine.chain.head.votes, node.home.secret.public
        current = votes.electorate.current
        weights = {did_from_key(key): weight for key, weight in current.weights}
        yield _gauge("consensus_validators", "Validators with any weight", len(current.leaders))
        yield _gauge("consensus_validators_power", "Weight of all validators", sum(weights.values()))
        yield _gauge("consensus_validator_power", "Weight of a validator", weights, "validator_address")
        yield _gauge("consensus_byzantine_validators", "Validators that are jailed", len(votes.electorate.barred))
        if own in current.by_key:
            signed = {did_from_key(own): votes.spoken_up_to(own)}
            what = "Largest recent height at which this node's validator spoke"
            yield _gauge("consensus_validator_last_signed_height", what, signed, "validator_address")

    def _network(self) -> Iterator[Metric]:
        engine, transport = self._node.engine, self._node.transport
        peers = Counter(peer.direction for peer in transport.peers.connected())
        directions = {name: peers[name] for name in ("inbound", "outbound")}
        yield _gauge("p2p_peers", "Peers that have greeted us", directions, "direction")
        yield _gauge("p2p_banned_peers", "Peers that are kept out for a while", len(transport.peers.bans()))
        meshes = {topic: len(transport.gossip.mesh(topic)) for topic in (BLOCKS, TRANSACTIONS)}
        yield _gauge("gossip_mesh_peers", "Peers that messages of a topic go to directly", meshes, "topic")
        yield _gauge("blocksync_syncing", "1 while blocks of a longer chain are fetched", engine.sync.is_downloading)
        shown = max(engine.chain.head.header.height, engine.sync.shown_height(engine.chain))
        yield _gauge("blocksync_best_peer_height", "Largest height that headers, or peers that are known, show", shown)

    def _disk(self) -> Iterator[Metric]:
        database = self._node.home.path / DATABASE
        parts = (database, database.with_name(f"{database.name}-wal"))
        size = sum(os.stat(part).st_size for part in parts if part.exists())
        yield _gauge("database_bytes", "Size of the database and its log", size)
        yield _gauge("disk_free_bytes", "Room left where the home is", shutil.disk_usage(database.parent).free)


class OfTheProcess(Collector):
    """What is counted for the whole process."""

    def collect(self) -> Iterator[Metric]:
        """The lines that its log lost, by what became of them, what peers sent in vain, and the bytes exchanged."""
        lines = CounterMetricFamily("goodfaith_log_lines_lost", "Lines of the log not written", labels=["why"])
        for why in ("unread", "repeated"):
            lines.add_metric([why], LOST[why])
        yield lines
        for name, what, counts in (
            ("p2p_refusals", "What peers sent and was refused", REFUSED),
            ("penalties", "What of it was held against them", BLAMED),
        ):
            family = CounterMetricFamily(f"goodfaith_{name}", what, labels=["reason"])
            for reason, count in counts.items():
                family.add_metric([reason.code], count)
            yield family
        for name, what in (("send", "sent"), ("receive", "received")):
            text = f"Bytes {what} on connections with peers, before encryption"
            yield CounterMetricFamily(f"goodfaith_p2p_message_{name}_bytes", text, TRAFFIC[what])


def _gauge(name: str, what: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    """A gauge of one value, or of one for each value of ``label``."""
    if not isinstance(value, Mapping):
        return GaugeMetricFamily(f"goodfaith_{name}", what, value)
    family = GaugeMetricFamily(f"goodfaith_{name}", what, labels=[label])
    for each, number in value.items():
        family.add_metric([each], number)
    return family
