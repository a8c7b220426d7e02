"""What the HTTP API answers: the node as people and scripts see it, and the ways in that they have."""

from __future__ import annotations

from p2p.local.commandline import version

import json
import time
from collections.abc import Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

import psutil
import trio

from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import did_from_key
from chain.branches.stall import stall_of
from chain.content.blocks import Block
from chain.disk.answers import transaction_in
from chain.disk.inspection import View
from chain.disk.past import Past
from chain.documents.chronicle import finality_document, transaction_document
from chain.documents.people import Document
from chain.documents.words import instant
from chain.protocol.engine import Engine
from chain.protocol.events import Effect, Event, Outcomes, Submitted
from chain.protocol.outlook import (
    at_head,
    attestations_document,
    mempool_counts,
    mempool_document,
    stall_document,
    tree_document,
)
from chain.protocol.trial import screen, try_out
from chain.register.statekeys import member_key
from chain.register.view import StateView
from p2p.local.addressbook import AddressBook, names_in
from p2p.local.endpoints import HISTORY, VALIDATORS, Endpoint, Source
from p2p.local.home import Home
from p2p.local.keeping import Kept
from p2p.local.reading import REST, Lane, Told
from p2p.network import PROTOCOL_VERSION

if TYPE_CHECKING:
    from p2p.local.telemetry import Telemetry
    from p2p.network import Transport
    from p2p.signatures import Signatures


# Submissions that are dealt with at a time; others wait, and their clients with them.  Each takes the node's one core
# for milliseconds: a hundred at once would let its peers wait for a second.
SUBMISSIONS_AT_ONCE = 2
# Listeners see what waits grow and shrink; more often nobody could read it.
COUNTS_EVERY_S = 1.0
_NOWHERE: Document = {"height": None, "block": None, "index": None, "count": None, "path": None, "header": None}


class Running(Protocol):
    """What the face needs of a running node."""

    home: Home
    engine: Engine
    telemetry: Telemetry
    transport: Transport
    signatures: Signatures

    @property
    def keeper(self) -> Kept:
        """What it keeps of the blocks."""

    def now_ms(self) -> int:
        """Unix milliseconds."""

    async def ask(self, event: Event) -> list[Effect]:
        """Let the engine handle an event in its turn; what came of it."""

    async def prove(self, key: bytes) -> bytes:
        """A proof of where the owner of ``key`` stands in the newest final state.  Raises :class:`Refused`."""

    async def locate(self, transaction_id: bytes) -> Block | None:
        """The main chain's block that holds a transaction, if there is one."""


class LocalFace:
    """Implements :class:`p2p.local.http.Face` over a running node; close it when nobody asks any more."""

    def __init__(self, node: Running) -> None:
        home = node.home
        self.genesis = home.genesis
        self.config = home.config
        self.registry = node.telemetry.registry
        self.events = node.telemetry.events
        self._node = node
        self._names = AddressBook(home.path)
        self._quick = Lane(home.database, home.genesis)
        self._costly = Lane(home.database, home.genesis, REST)
        # What goes through the whole chain, the first time: nobody else waits for it.
        self._long = {each.path: Lane(home.database, home.genesis, REST) for each in (HISTORY, VALIDATORS)}
        self._proving = trio.Lock()
        self._submitting = trio.CapacityLimiter(SUBMISSIONS_AT_ONCE)
        self._version = version()
        self._process = psutil.Process()

    def close(self) -> None:
        """End what reads the database."""
        for lane in (self._quick, self._costly, *self._long.values()):
            lane.close()

    # ------------------------------------------------------------------------------------------- the table's answers

    async def answer(self, endpoint: Endpoint, arguments: Mapping[str, Any], known: str | None) -> Told:
        """The answer to a question of the table; without a body where its tag is ``known``.

        Raises :class:`NotThere`, :class:`Unclear`, :class:`Problem`; :class:`Refused` where it cannot be made now.
        """
        match endpoint.source:
            case Source.DISK:
                return await self._read(endpoint, arguments, known)
            case Source.STATE:
                tag = self._tag()
                return Told(tag, None if known == tag else self._encode(endpoint.ask(self._view(), **arguments)))
            case Source.NODE:
                found = endpoint.ask(self, **arguments)
                return Told(None, self._encode(await found if isawaitable(found) else found))

    async def _read(self, endpoint: Endpoint, arguments: Mapping[str, Any], known: str | None) -> Told:
        lane = self._long.get(endpoint.path, self._costly if endpoint.is_costly else self._quick)
        name = endpoint.url(**arguments)
        if endpoint is HISTORY:

            def history(view: View, past: Past) -> bytes:
                return self._encode(endpoint.ask(view, **arguments, advance=_go_on, past=past))

            return await lane.ask(name, lane.with_past(history), known)
        return await lane.ask(name, lambda view: self._encode(endpoint.ask(view, **arguments)), known)

    def _encode(self, document: Document | bytes) -> bytes:
        """A document as JSON, with the names of those who are in it."""
        if isinstance(document, bytes):
            return document
        names = names_in(document, self._names.names())
        return json.dumps({**document, "names": names} if names else document).encode()

    def _tag(self) -> str:
        chain = self._node.engine.chain
        return f"{chain.head.header.id.hex()[:16]}-{chain.finalized.height}"

    # --------------------------------------------------------------------------------------------- the node itself

    def describe(self) -> Document:
        """``/status``."""
        node, now_ms = self._node, self._node.now_ms()
        engine, chain, telemetry = node.engine, node.engine.chain, node.telemetry
        head, final = chain.head.header, chain.finalized
        mute = engine.silence(now_ms)
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
            "head_slot": head.slot,
            "state_root": head.state_root.hex(),
            "finalized_height": final.height,
            "finalized_id": final.id.hex(),
            "stalled": stall_document(stall_of(chain)),
            "slot": self.genesis.slot_at(now_ms),
            "slot_ms": self.genesis.slot_ms,
            "genesis_time_ms": self.genesis.genesis_time_ms,
            "now_ms": now_ms,
            "mempool": len(engine.mempool),
            "peers": len(node.transport.peers.connected()),
            "syncing": engine.sync.is_downloading,
            "reorgs": telemetry.reorg_count,
            "faults": telemetry.fault_count,
            "transactions": telemetry.transaction_count,
            "final_transactions": telemetry.final_count,
            "transactions_from": telemetry.counted_from,
            "signatures_checked": node.signatures.checked,
            "cpu_s": round(time.process_time(), 3),
            "rss_bytes": self._process.memory_info().rss,
            **node.keeper.describe(),
        }

    def describe_health(self) -> Document:
        """``/health``: the first thing that is wrong."""
        node, now_ms = self._node, self._node.now_ms()
        chain, sync, mute = node.engine.chain, node.engine.sync, node.engine.silence(now_ms)
        head = chain.head.header
        elsewhere = sync.shown_height(chain)
        idle_slots = self.genesis.slot_at(now_ms) - head.slot
        is_alone = len(self.genesis.validators) > 1 and not node.transport.peers.connected()
        status, why = "ok", None
        if mute is not None and node.engine.is_validator:
            status, why = "silent", mute.why
        elif is_alone:
            status, why = "alone", "no peer is connected"
        elif stall_of(chain) is not None:
            status, why = "stalled", "nothing new becomes final; /status says for want of whom"
        elif elsewhere > head.height and sync.is_downloading:
            status, why = "syncing", f"blocks up to height {elsewhere} are on their way"
        elif elsewhere > head.height:
            status = "behind"
            why = f"there are blocks up to height {elsewhere}, and none above {head.height} is on its way"
        elif idle_slots > self.genesis.idle_slots:
            status, why = "stalled", f"no block came for {idle_slots} slots, and no network is idle for so long"
        return {
            "status": status,
            "why": why,
            "height": head.height,
            "finalized_height": chain.finalized.height,
            "slot": self._slot(),
        }

    def hello(self) -> Document:
        """What a stream of events begins with."""
        return {
            "network": self.genesis.name,
            "chain_id": self.genesis.id.hex(),
            "slot_ms": self.genesis.slot_ms,
            "genesis_time_ms": self.genesis.genesis_time_ms,
        }

    async def watch_counts(self) -> None:
        """Tell listeners of peers and of what waits, where that changed, until cancelled."""
        told: dict[str, Document] = {}
        while True:
            await trio.sleep(COUNTS_EVERY_S)
            if not self.events.listeners:
                continue
            peers = self._node.transport.peers
            counts = {
                "peers": {"connected": len(peers.connected()), "banned": len(peers.bans())},
                "mempool": mempool_counts(self._node.engine.mempool),
            }
            for kind, document in counts.items():
                if told.get(kind) != document:
                    self.events.tell(kind, document)
            told = counts

    def describe_peers(self) -> Document:
        """``/peers``: who is connected, and for how many seconds more others are kept out."""
        peers, statuses = self._node.transport.peers, self._node.engine.sync.statuses
        connected = []
        for peer in peers.connected():
            status = statuses.get(peer.peer_id)
            connected.append(
                {
                    "peer_id": peer.peer_id,
                    "address": peer.address,
                    "direction": peer.direction,
                    "rtt_ms": None if peer.rtt_ms is None else round(peer.rtt_ms, 1),
                    "score": round(peer.score, 1),
                    "validator": did_from_key(status.credential.key) if status and status.credential.key else None,
                    "height": status.height if status else None,
                    "finalized_height": status.finalized_height if status else None,
                }
            )
        return {"peers": connected, "banned": {peer_id: round(left_s, 1) for peer_id, left_s in peers.bans().items()}}

    def describe_tree(self, limit: int) -> Document:
        """``/tree``."""
        return tree_document(self._node.engine.chain, limit)

    def describe_finality(self, limit: int) -> Document:
        """``/finality``."""
        chain = self._node.engine.chain
        return finality_document(chain.head.votes, chain.finalized, limit)

    def describe_attestations(self, limit: int) -> Document:
        """``/attestations``."""
        return attestations_document(self._node.engine.chain, self._node.engine.heard, limit)

    def describe_mempool(self, limit: int) -> Document:
        """``/mempool``."""
        return mempool_document(self._node.engine.chain, self._node.engine.mempool, limit)

    def describe_evidence(self) -> Document:
        """``/evidence``."""
        chain = self._node.engine.chain
        barred = [did_from_key(key) for key in chain.head.votes.electorate.barred]
        return {**at_head(chain), "seen": list(self._node.telemetry.equivocations), "barred": barred}

    def describe_names(self) -> Document:
        """``/names``."""
        return {"names": dict(self._names.names())}

    def describe_account(self, key: bytes) -> Document:
        """``/account/{key}``: what a signer has to know, as of the head and this node's mempool."""
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

    def recent_heads(self, after: int) -> Document:
        """``/heads``."""
        return {"heads": [head for head in self._node.telemetry.heads if head["seq"] > after]}

    async def prove(self, key: bytes) -> bytes:
        """``/proof/{key}``: one after the other, since each takes a little of the node's own turn."""
        async with self._proving:
            return await self._node.prove(key)

    async def find_transaction(self, transaction_id: bytes) -> Document:
        """``/transactions/{id}``: whether it waits here, is in a block of the main chain, or neither."""
        chain, policy = self._node.engine.chain, self._view().policy
        waiting = self._node.engine.mempool.get(transaction_id)
        if waiting is not None:
            shown = transaction_document(policy, waiting)
            return {**at_head(chain), "state": "waiting", **_NOWHERE, "raw": waiting.raw.hex(), "transaction": shown}
        holder = await self._node.locate(transaction_id)
        if holder is None:
            return {**at_head(chain), "state": "unknown", **_NOWHERE, "raw": None, "transaction": None}
        return {**at_head(chain), **transaction_in(policy, holder, transaction_id, chain.finalized.height)}

    # ------------------------------------------------------------------------------------------------ the ways in

    async def submit(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        """``POST /transactions``: check encoded ones and offer the good ones to the mempool."""
        async with self._submitting:
            outcomes = await self._submit(raws)
        self._node.telemetry.tell_outcomes(outcomes)
        return outcomes

    async def _submit(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        engine = self._node.engine
        if not engine.has_room_for_clients:
            return [Refused(Reason.POOL_FULL, "the network is busy; submit again later")] * len(raws)
        look = screen(engine.chain, takes_strangers=engine.takes_strangers)
        checked = await self._node.signatures.outcomes(raws, look)
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


def _go_on(_blocks: int) -> None:
    """In a thread: end here where nobody waits for it any more."""
    trio.from_thread.check_cancelled()
