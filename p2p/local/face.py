"""What the HTTP face answers: the node as people and scripts see it, and the ways in that they have."""

from __future__ import annotations

from p2p.local.commandline import version

import time
from typing import TYPE_CHECKING, Any, Protocol

import psutil
import trio

from chain.documents import motions_document, policy_document, records_document
from chain.engine import Engine
from chain.errors import OperatorError, Reason, Refused
from chain.events import Effect, Event, Outcomes, Submitted
from chain.keys import did_from_key
from chain.stall import stall_of
from chain.state import member_key
from chain.trial import screen, try_out
from chain.view import StateView
from chain.words import instant
from p2p.local.home import Home
from p2p.network import PROTOCOL_VERSION

if TYPE_CHECKING:
    from p2p.local.telemetry import Telemetry
    from p2p.network import Transport
    from p2p.signatures import Signatures


# Submissions that are dealt with at a time; others wait, and their clients with them.  Each takes the node's one core
# for milliseconds: a hundred at once would let its peers wait for a second.
SUBMISSIONS_AT_ONCE = 2


class Running(Protocol):
    """What the face needs of a running node."""

    home: Home
    engine: Engine
    telemetry: Telemetry
    transport: Transport
    signatures: Signatures

    def now_ms(self) -> int:
        """Unix milliseconds."""

    async def ask(self, event: Event) -> list[Effect]:
        """Let the engine handle an event in its turn; what came of it."""

    async def prove(self, key: bytes) -> bytes:
        """A proof of where the owner of ``key`` stands in the newest final state.  Raises :class:`Refused`."""

    async def locate(self, transaction_id: bytes) -> int | None:
        """The height of the main chain's block that holds a transaction, if there is one."""


class LocalFace:
    """Implements :class:`p2p.local.http.Face` over a running node."""

    def __init__(self, node: Running) -> None:
        self.genesis = node.home.genesis
        self.registry = node.telemetry.registry
        self._node = node
        self._proving = trio.Lock()
        self._submitting = trio.CapacityLimiter(SUBMISSIONS_AT_ONCE)
        self._version = version()

    def describe(self) -> dict[str, Any]:
        """``GET /status``."""
        node = self._node
        engine, chain, telemetry = node.engine, node.engine.chain, node.telemetry
        head, final = chain.head.header, chain.finalized
        mute = engine.silence(node.now_ms())
        return {
            "version": self._version,
            "protocol": PROTOCOL_VERSION,
            "network": self.genesis.name,
            "chain_id": self.genesis.id.hex(),
            "did": did_from_key(node.home.secret.public),
            "peer_id": node.transport.peer_id,
            "validator": engine.is_validator,
            "silent": mute is not None,
            "silent_why": None if mute is None else mute.why,
            "signs_again": None if mute is None or mute.until_ms is None else instant(mute.until_ms),
            "height": head.height,
            "head_id": head.id.hex(),
            "state_root": head.state_root.hex(),
            "finalized_height": final.height,
            "finalized_id": final.id.hex(),
            "stalled": self._describe_stall(),
            "slot": self._slot(),
            "mempool": len(engine.mempool),
            "peers": len(node.transport.peers.connected()),
            "syncing": engine.sync.is_downloading,
            "reorgs": telemetry.reorg_count,
            "transactions": telemetry.transaction_count,
            "final_transactions": telemetry.transaction_count - chain.ledger.transactions_above(final.height),
            "signatures_checked": node.signatures.checked,
            "cpu_s": round(time.process_time(), 3),
            "rss_bytes": psutil.Process().memory_info().rss,
        }

    def _describe_stall(self) -> dict[str, Any] | None:
        stall = stall_of(self._node.engine.chain)
        if stall is None:
            return None
        missing = [did_from_key(key) for key in stall.missing]
        return {"since_slot": stall.slot, "heard": stall.heard, "needed": stall.needed, "missing": missing}

    def describe_peers(self) -> dict[str, Any]:
        """``GET /peers``: who is connected, and for how many seconds more others are kept out."""
        peers = self._node.transport.peers
        connected = [
            {
                "peer_id": peer.peer_id,
                "address": peer.address,
                "direction": peer.direction,
                "rtt_ms": peer.rtt_ms,
                "score": round(peer.score, 1),
            }
            for peer in peers.connected()
        ]
        return {"peers": connected, "banned": {peer_id: round(left_s, 1) for peer_id, left_s in peers.bans().items()}}

    def describe_account(self, key: bytes) -> dict[str, Any]:
        """``GET /account/{key}``: what a signer has to know, as of the head and this node's mempool."""
        engine, view = self._node.engine, self._view()
        account, identity = view.account(key), view.identity(key)
        return {
            "nonce": 0 if account is None else account.nonce,
            "next_free": engine.mempool.next_free(key),
            "identity": None if account is None else did_from_key(identity),
            "successor": did_from_key(account.successor) if account is not None and account.successor else None,
            "member": view.get(member_key(identity)) is not None,
            "authority": view.authority(identity) is not None,
            "validator": any(seat.key == key for seat in view.validators.active),
            "slot": self._slot(),
            "height": view.height,
            "policy_version": view.rules.version,
        }

    def describe_policy(self) -> dict[str, Any]:
        """``GET /policy``."""
        return policy_document(self._view())

    def describe_records(self, key: bytes) -> dict[str, Any]:
        """``GET /records/{key}``."""
        return records_document(self._view(), key)

    async def prove(self, key: bytes) -> bytes:
        """``GET /proof/{key}``: one after the other, since each takes a little of the node's own turn."""
        async with self._proving:
            return await self._node.prove(key)

    def describe_motions(self) -> dict[str, Any]:
        """``GET /motions``."""
        return motions_document(self._view())

    def recent_heads(self, after: int) -> list[dict[str, Any]]:
        """``GET /heads``."""
        return [head for head in self._node.telemetry.heads if head["seq"] > after]

    async def find_transaction(self, transaction_id: bytes) -> dict[str, Any]:
        """``GET /transactions/{id}``: whether it waits here, is in a block of the main chain, or neither."""
        engine = self._node.engine
        if transaction_id in engine.mempool:
            return {"state": "waiting", "height": None}
        height = await self._node.locate(transaction_id)
        if height is None:
            return {"state": "unknown", "height": None}
        return {"state": "final" if height <= engine.chain.finalized.height else "included", "height": height}

    async def submit(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        """``POST /transactions``: check encoded ones and offer the good ones to the mempool."""
        async with self._submitting:
            outcomes = await self._submit(raws)
        self._node.telemetry.tell_outcomes(outcomes)
        return outcomes

    async def _submit(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        if not self._node.engine.has_room_for_clients:
            return [Refused(Reason.POOL_FULL, "the network is busy; submit again later")] * len(raws)
        checked = await self._node.signatures.outcomes(raws, screen(self._node.engine.chain))
        good = tuple(item for item in checked if not isinstance(item, Refused))
        effects = await self._node.ask(Submitted(good))
        answers = iter(next(effect.outcomes for effect in effects if isinstance(effect, Outcomes)))
        return [item if isinstance(item, Refused) else next(answers) for item in checked]

    async def try_out(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        """``POST /trial``: what the next block would make of encoded transactions, each on top of those before it."""
        checked = await self._node.signatures.outcomes(raws)
        good = [item for item in checked if not isinstance(item, Refused)]
        engine = self._node.engine
        answers = iter(try_out(engine.chain, engine.mempool, good, self._slot()))
        return [item if isinstance(item, Refused) else next(answers) for item in checked]

    def partition(self, peer_ids: set[str] | None) -> None:
        """``/partition``: cut peers off, or heal with None; for tests of partitions.

        Raises :class:`OperatorError` where the configuration does not allow it.
        """
        if not self._node.home.config.allow_partitions:
            raise OperatorError("set allow_partitions = true in config.toml first")
        if peer_ids is None:
            self._node.transport.peers.unblock()
        else:
            self._node.transport.peers.block(peer_ids)

    def _view(self) -> StateView:
        """The state at the head; whoever answers from it can write nothing."""
        chain = self._node.engine.chain
        head = chain.head.header
        return chain.ledger.view(head.slot, is_final=head.height <= chain.finalized.height)

    def _slot(self) -> int:
        return self.genesis.slot_at(self._node.now_ms())
