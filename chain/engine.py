"""One node's protocol: ``effects = engine.handle(event, now_ms)``.

The engine owns the blockchain, the mempool, the sync and the producer.  It performs nothing: the caller
carries out the effects in their order, and a :class:`~chain.events.Commit`, always first, is durable before
the next effect begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.blockchain import Added, Blockchain, Settled
from chain.blocks import Block, Header, VerifiedHeader, assemble
from chain.errors import Disposition, Reason, Refused
from chain.events import (
    AnnounceBlock,
    Answer,
    Ask,
    AskStatus,
    BlockAnnounced,
    BlocksReceived,
    Commit,
    Effect,
    Equivocation,
    Event,
    Finalized,
    GossipTransactions,
    HeadMoved,
    MissingReceived,
    Notice,
    Peer,
    PeerLost,
    Penalise,
    RequestFailed,
    SigningState,
    StatusReceived,
    Submitted,
    Tick,
    TransactionsReceived,
)
from chain.genesis import Genesis
from chain.keys import SecretKey
from chain.mempool import Mempool
from chain.messages import GetTransactions, Status
from chain.production import Producer
from chain.registry import Member, member_key
from chain.sync import Sync
from chain.transactions import VerifiedTransaction

# How far a header may be ahead of our clock; nearer ones wait for their slot (consensus rules).
CLOCK_DISPARITY_MS = 500
# Blocks that wait for their slot or for transactions; honest leaders make one a slot.
MAX_WAITING_BLOCKS = 64
# The state on disk follows what is final at most this often, so that busy records are written once.
SETTLE_INTERVAL_MS = 1_000
MAX_UNSETTLED = 256
# Gossip can be lost: ask one peer where it stands every so many slots, offer our own transactions again.
STATUS_EVERY_SLOTS = 8
REGOSSIP_EVERY_SLOTS = 32
MAX_REGOSSIP = 1_024
EXPIRE_EVERY_BLOCKS = 16
# A peer that promises a longer chain and does not deliver holds our own production up for this long.
MAX_PATIENCE_MS = 10_000


@dataclass(slots=True)
class _Waiting:
    """An announced block that lacks transactions or whose slot is about to begin."""

    peer: Peer
    header: VerifiedHeader
    transaction_ids: tuple[bytes, ...]
    arrived_in_slot: bool
    due_ms: int


class Engine:
    """The protocol of one node.  ``secret`` makes it a validator, if the genesis lists its public key."""

    def __init__(
        self,
        genesis: Genesis,
        chain: Blockchain,
        *,
        secret: SecretKey | None = None,
        signing: SigningState | None = None,
    ) -> None:
        self.genesis = genesis
        self.chain = chain
        self.mempool = Mempool(self._next_nonce)
        self.sync = Sync()
        is_validator = secret is not None and any(key == secret.public for key, _ in genesis.validators)
        self.producer = Producer(genesis, secret, signing) if secret is not None and is_validator else None
        self._own: dict[bytes, None] = {}
        self._waiting: dict[bytes, _Waiting] = {}
        self._last_slot = 0
        self._last_settled_ms = 0
        self._progress_ms = 0
        self._effects: list[Effect] = []
        self._main: dict[bytes, tuple[Block, bool]] = {}
        self._side: list[Block] = []
        self._settled: Settled | None = None
        self._signing: SigningState | None = None
        self._final_height: int | None = None

    # -------------------------------------------------------------------------------- what is seen from outside

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Let ``event`` happen at ``now_ms`` (Unix milliseconds) and return what is to be done, in order."""
        self._effects = []
        match event:
            case Tick():
                self._on_tick(now_ms)
            case Submitted(transactions):
                self._on_submitted(transactions)
            case TransactionsReceived(_, transactions):
                self._take_transactions(transactions)
            case BlockAnnounced():
                self._on_announced(event, now_ms)
            case MissingReceived():
                self._on_missing(event, now_ms)
            case BlocksReceived():
                self._on_blocks(event, now_ms)
            case StatusReceived(peer, status):
                self.sync.note(peer, status)
            case RequestFailed(peer, request):
                self._on_failed(peer, request)
            case PeerLost(peer):
                self.sync.forget(peer)
        self._produce(now_ms)
        ask = self.sync.next_request(self.chain)
        if ask is not None:
            self._effects.append(ask)
        self._settle(now_ms)
        return self._commit() + self._effects

    def wake_ms(self, now_ms: int) -> int:
        """When the next :class:`Tick` is wanted."""
        next_slot_ms = self.genesis.slot_start_ms(max(0, self.genesis.slot_at(now_ms)) + 1)
        return min([next_slot_ms, *(waiting.due_ms for waiting in self._waiting.values() if waiting.due_ms)])

    def status(self) -> Status:
        """Where this node stands."""
        head = self.chain.head.header
        return Status(head.id, head.height, head.mhp, self.chain.finalized.height)

    def stop(self) -> list[Effect]:
        """The last effects before a clean end: bring the state on disk up to what is final."""
        self._effects = []
        self._settled = self.chain.settle()
        return self._commit()

    # ---------------------------------------------------------------------------------------------- transactions

    def _on_submitted(self, transactions: tuple[VerifiedTransaction, ...]) -> None:
        outcomes = self._take_transactions(transactions)
        taken = tuple(
            transaction for transaction, outcome in zip(transactions, outcomes, strict=True) if outcome is None
        )
        self._own.update((transaction.id, None) for transaction in taken)
        self._effects.append(Answer(tuple(outcomes)))
        if taken:
            self._effects.append(GossipTransactions(taken))

    def _take_transactions(self, transactions: tuple[VerifiedTransaction, ...]) -> list[Refused | None]:
        height = self.chain.head.header.height + 1
        outcomes: list[Refused | None] = []
        for transaction in transactions:
            try:
                self.mempool.add(transaction, height)
            except Refused as refusal:
                outcomes.append(refusal)
            else:
                outcomes.append(None)
        return outcomes

    def _next_nonce(self, actor: bytes) -> int | None:
        member = self.chain.ledger.records.get(member_key(actor))
        return member.nonce if isinstance(member, Member) else None

    def _regossip(self) -> None:
        mempool = self.mempool
        self._own = {key: None for key in self._own if key in mempool}
        mine = [transaction for key in self._own if (transaction := mempool.get(key)) is not None]
        if mine:
            self._effects.append(GossipTransactions(tuple(mine[:MAX_REGOSSIP])))

    # -------------------------------------------------------------------------------------------------- blocks

    def _on_announced(self, event: BlockAnnounced, now_ms: int) -> None:
        header = event.header
        if header.id in self.chain.tree or header.id in self._waiting:
            return
        try:
            self._check_clock(header, now_ms)
        except Refused as refusal:
            self._note("block_refused", f"block {header.id.hex()[:12]}: {refusal}")
            return
        start_ms = self.genesis.slot_start_ms(header.slot)
        waiting = _Waiting(
            event.peer,
            header,
            event.transaction_ids,
            arrived_in_slot=self.genesis.slot_at(max(now_ms, start_ms)) == header.slot,
            due_ms=start_ms if start_ms > now_ms else 0,
        )
        if waiting.due_ms:
            self._wait(waiting)
        else:
            self._proceed(waiting, now_ms)

    def _wait(self, waiting: _Waiting) -> None:
        if len(self._waiting) >= MAX_WAITING_BLOCKS:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[waiting.header.id] = waiting

    def _proceed(self, waiting: _Waiting, now_ms: int) -> None:
        """Judge an announced header and complete its block, from the mempool or by asking its announcer."""
        header = waiting.header
        try:
            self.chain.refuse_final(header)
            self.chain.tree.check(header, solicited=False)
        except Refused as refusal:
            if refusal.reason is Reason.UNKNOWN_PARENT:
                self.sync.note_header(waiting.peer, header)
            else:
                self._note("block_refused", f"block {header.id.hex()[:12]}: {refusal}")
            return
        missing = tuple(key for key in waiting.transaction_ids if key not in self.mempool)
        if missing:
            waiting.due_ms = 0
            self._wait(waiting)
            self._effects.append(Ask(waiting.peer, GetTransactions(missing)))
        else:
            self._complete(waiting, {}, now_ms)

    def _complete(self, waiting: _Waiting, fetched: dict[bytes, VerifiedTransaction], now_ms: int) -> None:
        transactions = []
        for key in waiting.transaction_ids:
            transaction = fetched.get(key) or self.mempool.get(key)
            if transaction is None:
                self.sync.note_header(waiting.peer, waiting.header)
                return
            transactions.append(transaction)
        try:
            block = assemble(waiting.header, transactions)
            self._add(block, now_ms, arrived_in_slot=waiting.arrived_in_slot, solicited=False)
        except Refused as refusal:
            self._note("block_refused", f"block {waiting.header.id.hex()[:12]}: {refusal}")

    def _on_missing(self, event: MissingReceived, now_ms: int) -> None:
        fetched = {transaction.id: transaction for transaction in event.transactions}
        wanted = event.request.transaction_ids
        for waiting in [item for item in self._waiting.values() if not item.due_ms]:
            if waiting.peer == event.peer and wanted and wanted[0] in waiting.transaction_ids:
                del self._waiting[waiting.header.id]
                self._complete(waiting, fetched, now_ms)

    def _on_failed(self, peer: Peer, request: object) -> None:
        if isinstance(request, GetTransactions):
            for waiting in [item for item in self._waiting.values() if item.peer == peer and not item.due_ms]:
                del self._waiting[waiting.header.id]
        self.sync.forget(peer)
        # Its claim may have been good and the network bad: hear it again before the next try.
        self._effects.append(AskStatus(peer))

    def _on_blocks(self, event: BlocksReceived, now_ms: int) -> None:
        """The reply to a download: add block after block; the first bad one ends it and blames the peer."""
        if not self.sync.is_expected(event.peer, event.request):
            return
        attached = True
        last_height = 0
        for block in event.blocks:
            header = block.header
            try:
                self._check_clock(header, now_ms)
                if header.height > self.chain.finalized.height and header.id not in self.chain.tree:
                    self._add(block, now_ms, arrived_in_slot=True, solicited=True)
                last_height = header.height
            except Refused as refusal:
                attached = False
                if refusal.reason is Reason.UNKNOWN_PARENT:
                    last_height = header.height
                    break
                last_height = 0
                self._note("block_refused", f"block {header.id.hex()[:12]} from {event.peer}: {refusal}")
                if refusal.reason.disposition is Disposition.BLAME:
                    self._effects.append(Penalise(event.peer, refusal))
                break
        if not self.sync.received(event.peer, event.request, last_height=last_height, attached=attached):
            self._effects.append(AskStatus(event.peer))

    def _check_clock(self, header: Header, now_ms: int) -> None:
        start_ms = self.genesis.slot_start_ms(header.slot)
        if start_ms > now_ms + CLOCK_DISPARITY_MS:
            raise Refused(Reason.FUTURE_SLOT, f"slot {header.slot} begins in {start_ms - now_ms} ms")

    def _add(self, block: Block, now_ms: int, *, arrived_in_slot: bool, solicited: bool) -> None:
        added = self.chain.add(block, arrived_in_slot=arrived_in_slot, solicited=solicited)
        if not added.adopted:
            self._side.append(block)
        self._after(added, now_ms)
        if added.double is not None:
            self._effects.append(Equivocation(added.double, block.header))

    def _after(self, added: Added, now_ms: int) -> None:
        """Bring mempool and commit in line with a chain that changed."""
        if not added.adopted:
            return
        self._progress_ms = now_ms
        for block in added.abandoned:
            self._main[block.id] = (block, False)
        for block in added.adopted:
            self._main[block.id] = (block, True)
        head = self.chain.head.header
        for block in added.adopted:
            self.mempool.discard(block.transactions, block.header.height)
        for block in added.abandoned:
            self.mempool.restore(block.transactions, head.height + 1)
        if head.height % EXPIRE_EVERY_BLOCKS == 0:
            self.mempool.expire(head.height + 1)
        delay_ms = now_ms - self.genesis.slot_start_ms(head.slot)
        count = sum(len(block.transactions) for block in added.adopted)
        self._effects.append(HeadMoved(head, count, len(added.abandoned), delay_ms))
        if added.finalized:
            self._final_height = added.finalized[-1].height
            self._effects.append(Finalized(added.finalized[-1]))

    # ---------------------------------------------------------------------------------------------------- time

    def _on_tick(self, now_ms: int) -> None:
        due = [waiting for waiting in self._waiting.values() if waiting.due_ms and waiting.due_ms <= now_ms]
        for waiting in due:
            del self._waiting[waiting.header.id]
            waiting.due_ms = 0
            self._proceed(waiting, now_ms)
        slot = self.genesis.slot_at(now_ms)
        if slot == self._last_slot:
            return
        self._last_slot = slot
        if slot % STATUS_EVERY_SLOTS == 0 and self.sync.statuses:
            peers = sorted(self.sync.statuses)
            self._effects.append(AskStatus(peers[slot // STATUS_EVERY_SLOTS % len(peers)]))
        if slot % REGOSSIP_EVERY_SLOTS == 0:
            self._regossip()

    def _produce(self, now_ms: int) -> None:
        if self.producer is None:
            return
        if self.sync.is_downloading and now_ms - self._progress_ms < MAX_PATIENCE_MS:
            return
        was_silent = self.producer.is_silent
        slot = self.producer.due_slot(self.chain, now_ms, has_work=self._has_work())
        if was_silent and not self.producer.is_silent:
            self._signing = self.producer.signing
            self._note("signing_again", "a block made after the return is final: this validator signs again")
        if slot is None:
            return
        made = self.producer.make(self.chain, self.mempool, slot)
        if made is None:
            return
        added = self.chain.adopt(made.block, made.changes)
        self._signing = made.signing
        self._after(added, now_ms)
        for transaction in made.hopeless:
            self.mempool.remove(transaction.id)
        self._effects.append(AnnounceBlock(made.block))

    def _has_work(self) -> bool:
        """Whether anything waits: in the mempool, or in a block that is not final yet."""
        final = self.chain.finalized.height
        return len(self.mempool) > 0 or any(
            block.transactions for block in self.chain.ledger.blocks() if block.header.height > final
        )

    def _settle(self, now_ms: int) -> None:
        unsettled = self.chain.unsettled
        since_ms = now_ms - self._last_settled_ms
        if unsettled and (not 0 <= since_ms < SETTLE_INTERVAL_MS or unsettled >= MAX_UNSETTLED):
            self._settled = self.chain.settle()
            self._last_settled_ms = now_ms

    # --------------------------------------------------------------------------------------------------- effects

    def _note(self, name: str, text: str) -> None:
        self._effects.append(Notice(name, text))

    def _commit(self) -> list[Effect]:
        """Everything that this event made to be stored, as one commit, before any other effect."""
        commit = Commit(
            abandoned=tuple(block for block, is_main in self._main.values() if not is_main),
            adopted=tuple(block for block, is_main in self._main.values() if is_main),
            side=tuple(block for block in self._side if block.id not in self._main),
            finalized_height=self._final_height,
            settled=self._settled,
            signing=self._signing,
        )
        self._main, self._side = {}, []
        self._settled = self._signing = self._final_height = None
        return [] if commit == Commit() else [commit]
