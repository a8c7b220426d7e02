"""One node's protocol: ``effects = engine.handle(event, now_ms)``.

The engine owns the blockchain, the mempool, the sync and the producer.  It performs nothing: the caller
carries out the effects in their order, and a :class:`~chain.events.Commit`, always first, is durable before
the next effect begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain.admission import check_clock
from chain.arrivals import Arrival, WaitingRoom
from chain.blockchain import Added, Blockchain
from chain.blocks import Block, join
from chain.blocktree import Judged
from chain.clock import Mute, Trust, step_in_words
from chain.credentials import NOBODY, Credential
from chain.errors import Disposition, Reason, Refused
from chain.events import (
    AnnounceBlock,
    Ask,
    AskStatus,
    BlockAnnounced,
    BlocksReceived,
    Effect,
    Equivocation,
    Event,
    Finalized,
    FollowWallClock,
    GossipTransactions,
    HeadMoved,
    MissingReceived,
    Outcomes,
    Peer,
    PeerLost,
    Penalise,
    RequestFailed,
    SigningState,
    StatusReceived,
    Submitted,
    Tick,
    TransactionsReceived,
    WallClockStepped,
)
from chain.genesis import Genesis
from chain.headers import Header, VerifiedHeader
from chain.keys import SecretKey
from chain.mempool import MAX_TRANSACTIONS, Mempool
from chain.messages import GetTransactions, Status
from chain.outbox import Outbox
from chain.production import Producer
from chain.registry import check_action, check_standing
from chain.silence import Herald, silence
from chain.sync import Sync, linked
from chain.transactions import Evidence, VerifiedTransaction, sign_transaction
from chain.witness import Witness

# The state on disk follows what is final at most this often, so that busy records are written once.
SETTLE_INTERVAL_MS = 1_000
MAX_UNSETTLED = 256
# Gossip can be lost: ask one peer where it stands every so many slots, offer our own transactions again.
STATUS_EVERY_SLOTS = 8
REGOSSIP_EVERY_SLOTS = 32
MAX_REGOSSIP = 1_024
# So long an accusation waits for a block; another one is made if the validator goes on.
ACCUSATION_BLOCKS = 1_000
EXPIRE_EVERY_BLOCKS = 16


class Engine:
    """The protocol of one node.  With a ``secret`` it makes blocks while this key is a validator's."""

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
        self.mempool = Mempool(chain.ledger.next_nonce, genesis.max_expiry_blocks)
        self.sync = Sync()
        self.producer = None if secret is None else Producer(genesis, secret, signing)
        self.trust = Trust(genesis, b"" if secret is None else secret.public)
        self._waiting = WaitingRoom()
        self._witness = Witness()
        self._accused: dict[bytes, bytes] = {}
        for header in chain.tree.headers():
            self._witness.note(header)
        self._last_slot = 0
        self._last_settled_ms = 0
        self._last_attempt: tuple[int, bytes, int] | None = None
        self._herald = Herald()
        self._out = Outbox()

    # -------------------------------------------------------------------------------- what is seen from outside

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Let ``event`` happen at ``now_ms`` (Unix milliseconds) and return what is to be done, in order."""
        self._out = Outbox()
        match event:
            case Tick():
                self._on_tick(now_ms)
            case Submitted(transactions):
                self._on_submitted(transactions)
            case TransactionsReceived(_, batch):
                self._take_transactions(batch.transactions)
            case BlockAnnounced():
                self._on_announced(event, now_ms)
            case MissingReceived():
                self._on_missing(event, now_ms)
            case BlocksReceived():
                self._on_blocks(event, now_ms)
            case StatusReceived(peer, claim):
                self.sync.note(peer, claim.status)
                if self.trust.heard(peer, claim.status.credential.key, claim.status.time_ms, now_ms):
                    self._ask_status(peer, now_ms)
            case WallClockStepped(ahead_ms):
                self.trust.stepped(ahead_ms, now_ms)
                self._out.note("clock_stepped", step_in_words(ahead_ms))
            case RequestFailed(peer, _):
                self._on_failed(peer, now_ms)
            case PeerLost(peer):
                self._waiting.drop(peer)
                self.sync.forget(peer)
                self.trust.lost(peer)
        self._look_at_clock(now_ms)
        ask = self.sync.next_request(self.chain, now_ms)
        if ask is not None:
            self._out.put(ask)
        self._produce(now_ms)
        self._settle(now_ms)
        news = self._herald.news(self.silence(now_ms)) if isinstance(event, Tick) else None
        if news is not None:
            self._out.put(news)
        return self._out.take()

    def wake_ms(self, now_ms: int) -> int:
        """When the next :class:`Tick` is wanted: once a slot at least, also to see that a clock was set."""
        next_slot_ms = self.genesis.slot_start_ms(self.genesis.slot_at(now_ms) + 1)
        return min([next_slot_ms, *self._waiting.wake_ms()])

    def status(self, now_ms: int, credential: Credential = NOBODY) -> Status:
        """Where this node stands and what time it has; ``credential`` is shown while its key is a validator's."""
        head, final, time_ms = self.chain.head.header, self.chain.finalized, self.trust.time_to_tell(now_ms)
        shown = credential if self.is_validator else NOBODY
        return Status(head.id, head.height, head.mhp, final.height, max(0, time_ms), shown)

    def silence(self, now_ms: int) -> Mute | None:
        """Why this validator signs nothing at present; None where it does, and of an observer."""
        if self.producer is None or not self.is_validator:
            return None
        return silence(self.genesis, self.producer, self.trust, self.chain.head.header, now_ms)

    @property
    def is_validator(self) -> bool:
        """Whether this node's key leads slots, as of the head."""
        producer = self.producer
        return producer is not None and producer.secret.public in self.chain.next_votes.newest_set.leaders

    def stop(self) -> list[Effect]:
        """The last effects before a clean end: the state on disk follows what is final, and what this node acknowledged
        and no block holds yet is kept for its next start.
        """
        self._out = Outbox()
        self._out.settled = self.chain.settle()
        self._out.waiting = self.mempool.claimed(MAX_TRANSACTIONS)
        return self._out.take()

    # ---------------------------------------------------------------------------------------------- transactions

    def _on_submitted(self, transactions: tuple[VerifiedTransaction, ...]) -> None:
        outcomes = self._take_transactions(transactions)
        taken = tuple(
            transaction for transaction, outcome in zip(transactions, outcomes, strict=True) if outcome is None
        )
        self.mempool.claim(taken)
        self._out.put(Outcomes(tuple(outcomes)))
        if taken:
            self._out.put(GossipTransactions(taken))

    def _take_transactions(self, transactions: tuple[VerifiedTransaction, ...]) -> list[Refused | None]:
        height = self.chain.head.header.height + 1
        draft = self.chain.ledger.blank_draft(self.chain.head.header.slot)
        outcomes: list[Refused | None] = []
        for transaction in transactions:
            try:
                check_action(draft.policy, transaction)
                check_standing(draft, transaction)
                self.mempool.add(transaction, height)
            except Refused as refusal:
                outcomes.append(refusal)
            else:
                outcomes.append(None)
        return outcomes

    # -------------------------------------------------------------------------------------------------- blocks

    def _on_announced(self, event: BlockAnnounced, now_ms: int) -> None:
        """An admitted announcement: only what can have changed since it came in is judged again, clock and tree."""
        header = event.announcement.header
        if header.id in self.chain.tree or header.id in self._waiting:
            return
        start_ms = self.genesis.slot_start_ms(header.slot)
        try:
            check_clock(self.genesis, header, now_ms)
        except Refused as refusal:
            self._note_refused(header, refusal)
            return
        self._watch(header)
        arrival = Arrival(
            event.peer,
            event.announcement,
            arrived_in_slot=self.genesis.slot_at(max(now_ms, start_ms)) == header.slot,
            due_ms=start_ms if start_ms > now_ms else 0,
        )
        if arrival.due_ms:
            self._waiting.add(arrival)
        else:
            self._proceed(arrival, now_ms)

    def _proceed(
        self, arrival: Arrival, now_ms: int, fetched: Mapping[bytes, VerifiedTransaction] | None = None
    ) -> None:
        """Judge an announced header and complete its block, from the mempool or by asking its announcer.

        ``fetched`` is what the announcer answered, once it was asked.  What waited is judged again: clock and tree
        may have changed.
        """
        header = arrival.header
        if header.id in self.chain.tree:
            return
        try:
            check_clock(self.genesis, header, now_ms)
            judged = self.chain.check(header, solicited=False)
        except Refused as refusal:
            if refusal.reason is Reason.UNKNOWN_PARENT:
                self.sync.note_header(arrival.peer, header)
            else:
                self._note_refused(header, refusal)
            return
        found: dict[bytes, VerifiedTransaction] = {}
        missing: list[bytes] = []
        ids = arrival.announcement.transaction_ids
        for key in ids:
            transaction = (fetched or {}).get(key) or self.mempool.get(key)
            if transaction is None:
                missing.append(key)
            else:
                found[key] = transaction
        if not missing:
            self._complete(arrival, judged, [found[key] for key in ids], now_ms)
        elif fetched is not None:
            self.sync.note_header(arrival.peer, header)
        elif self._waiting.add(arrival):
            self._out.put(Ask(arrival.peer, GetTransactions(tuple(missing))))

    def _complete(
        self, arrival: Arrival, judged: Judged, transactions: Sequence[VerifiedTransaction], now_ms: int
    ) -> None:
        try:
            block = join(arrival.header, transactions)
            self._add(block, judged, now_ms, arrived_in_slot=arrival.arrived_in_slot)
        except Refused as refusal:
            self._note_refused(arrival.header, refusal)

    def _on_missing(self, event: MissingReceived, now_ms: int) -> None:
        fetched = {transaction.id: transaction for transaction in event.transactions}
        for arrival in self._waiting.take_completed(event.peer, event.request):
            self._proceed(arrival, now_ms, fetched)

    def _on_failed(self, peer: Peer, now_ms: int) -> None:
        self._waiting.drop(peer)
        self.sync.failed(peer, now_ms)
        # Its claim may have been good and the network bad: hear it again before the next try.
        self._ask_status(peer, now_ms)

    def _on_blocks(self, event: BlocksReceived, now_ms: int) -> None:
        """The reply to a download: add block after block; the first bad one ends it and blames the peer."""
        if not self.sync.is_expected(event.peer, event.request):
            return
        self.trust.saw((block.header for block in event.blocks), now_ms)
        attached = True
        last_height = 0
        try:
            for block in linked(event.request, event.blocks):
                self._take_downloaded(event.peer, block, now_ms)
                last_height = block.header.height
            claimed_height = self.sync.claimed_height(event.peer, event.request.tip_id)
            if last_height and last_height == claimed_height and event.blocks[-1].id != event.request.tip_id:
                raise Refused(Reason.UNSOLICITED, "the branch does not lead to the block that was claimed")
        except Refused as refusal:
            attached = False
            if refusal.reason is Reason.UNKNOWN_PARENT:
                last_height = event.request.from_height
            else:
                last_height = 0
                self._out.note("download_refused", f"from {event.peer}: {refusal}")
                # A branch that lost while it was on its way is nobody's fault.
                has_lost = (
                    refusal.reason is Reason.CROSSES_FINALITY and self.sync.final_height < self.chain.finalized.height
                )
                if refusal.reason.disposition is Disposition.BLAME and not has_lost:
                    self._out.put(Penalise(event.peer, refusal))
        if not self.sync.received(event.peer, event.request, last_height=last_height, attached=attached):
            self.sync.failed(event.peer, now_ms)
            self._ask_status(event.peer, now_ms)

    def _take_downloaded(self, peer: Peer, block: Block, now_ms: int) -> None:
        header, final = block.header, self.chain.finalized
        if header.height < final.height or header.id == final.id or header.id in self.chain.tree:
            return
        check_clock(self.genesis, header, now_ms)
        self._watch(block.header)
        self._add(block, self.chain.check(header, solicited=True), now_ms, arrived_in_slot=True)
        self.sync.delivered(peer, now_ms)

    def _watch(self, header: VerifiedHeader) -> None:
        """See who signs, before the header is judged: also a refused one is evidence.

        A key that signs on another machine too must stop here, before the two contradict each other.
        """
        rival = self._witness.note(header)
        if rival is not None:
            self._out.put(Equivocation(rival, header))
            self._accuse(rival, header)
        if self.producer is not None and self.producer.seen_elsewhere(header):
            self._out.signing = self.producer.signing
            why = "another machine signs with this key: this node signs no more; stop one"
            self._out.note("key_used_elsewhere", why)

    def _accuse(self, rival: VerifiedHeader, header: VerifiedHeader) -> None:
        """A validator that sees another contradict itself brings the evidence on the chain, once an offence."""
        culprit = header.proposer
        if self.producer is None or culprit == self.producer.secret.public:
            return
        waiting = self.mempool.get(self._accused.get(culprit, b""))
        nonce = self.mempool.next_free(self.producer.secret.public)
        # Behind a gap, which an accusation left that came too late, it would wait for ever.
        if waiting is not None and waiting.nonce < nonce:
            return
        first, second = sorted((rival, header), key=lambda item: item.id)
        key, height = self.producer.secret, self.chain.head.header.height + 1
        expiry_height = height + min(ACCUSATION_BLOCKS, self.genesis.max_expiry_blocks)
        accusation = sign_transaction(key, self.genesis.id, nonce, expiry_height, Evidence(first.raw, second.raw))
        if self._take_transactions((accusation,)) == [None]:
            self._accused[culprit] = accusation.id
            self.mempool.claim((accusation,))
            self._out.put(GossipTransactions((accusation,)))

    def _add(self, block: Block, judged: Judged, now_ms: int, *, arrived_in_slot: bool) -> None:
        added = self.chain.add(block, arrived_in_slot=arrived_in_slot, judged=judged)
        if not added.adopted:
            self._out.store_side(block)
        self._after(added, now_ms)

    def _after(self, added: Added, now_ms: int) -> None:
        """Bring mempool and commit in line with a chain that changed."""
        if not added.adopted:
            return
        self._out.store_move(added.abandoned, added.adopted)
        head = self.chain.head.header
        for block in added.adopted:
            self.mempool.discard(block.transactions)
        for block in reversed(added.abandoned):
            self.mempool.restore(block.transactions, head.height + 1)
            self.mempool.claim(block.transactions)
        if head.height % EXPIRE_EVERY_BLOCKS == 0:
            self.mempool.expire(head.height + 1)
        delay_ms = now_ms - self.genesis.slot_start_ms(head.slot)
        self._out.put(HeadMoved(head, len(added.adopted[-1].transactions), len(added.abandoned), delay_ms))
        if added.finalized:
            self._out.finalized_height = added.finalized[-1].height
            self._out.put(Finalized(added.finalized[-1]))

    # ---------------------------------------------------------------------------------------------------- time

    def _on_tick(self, now_ms: int) -> None:
        for arrival in self._waiting.take_due(now_ms):
            self._proceed(arrival, now_ms)
        slot = self.genesis.slot_at(now_ms)
        if slot == self._last_slot:
            return
        self._last_slot = slot
        if slot % STATUS_EVERY_SLOTS == 0 and self.sync.statuses:
            peers = sorted(self.sync.statuses)
            self._ask_status(peers[slot // STATUS_EVERY_SLOTS % len(peers)], now_ms)
        if slot % REGOSSIP_EVERY_SLOTS == 0:
            mine = self.mempool.claimed(MAX_REGOSSIP)
            if mine:
                self._out.put(GossipTransactions(mine))

    def _ask_status(self, peer: Peer, now_ms: int) -> None:
        self.trust.asked(peer, now_ms)
        self._out.put(AskStatus(peer))

    def _look_at_clock(self, now_ms: int) -> None:
        if self.trust.look(self.chain.head.header, self.chain.next_votes.newest_set, now_ms):
            self._out.put(FollowWallClock())
            self._out.note("clock_set", "time is that of the wall clock again")
        for peer in self.trust.to_ask(now_ms):
            self._ask_status(peer, now_ms)

    def _produce(self, now_ms: int) -> None:
        is_alone = len(self.chain.next_votes.newest_set.leaders) == 1
        if self.producer is None or self.sync.is_catching_up(now_ms, self.genesis.slot_ms, is_alone=is_alone):
            return
        if self.trust.mute(now_ms) is not None:
            return
        was_silent = self.producer.is_silent
        slot = self.producer.due_slot(self.chain, now_ms)
        if was_silent and not self.producer.is_silent:
            self._out.signing = self.producer.signing
        if slot is None:
            return
        quiet_slots = self.genesis.quiet_slots(len(self.chain.next_votes.newest_set.leaders))
        is_needed = self._is_unfinished(slot) or slot - self.chain.head.header.slot >= quiet_slots
        attempt = (slot, self.chain.head.header.id, self.mempool.arrivals)
        if not is_needed and (not len(self.mempool) or attempt == self._last_attempt):
            return
        self._last_attempt = attempt
        made = self.producer.make(self.chain, self.mempool, slot, may_be_empty=is_needed)
        if made is None:
            return
        added = self.chain.adopt(made.block, made.changes)
        self._out.signing = made.signing
        self._after(added, now_ms)
        for transaction in made.hopeless:
            self.mempool.remove(transaction.id)
        self._out.put(AnnounceBlock(made.block))

    def _is_unfinished(self, slot: int) -> bool:
        """Whether blocks are wanted though nothing waits.

        That is while changes are not final yet, a deadline has passed, or a change of the validators is on its
        way; and while nodes may disagree on what is final because this node saw it on a branch that lost.  While
        too many validators are away for anything to become final, haste would only grow the chain: heartbeats
        do, and whoever comes back says so with a block.
        """
        chain = self.chain
        votes, final = chain.next_votes, chain.finalized.height
        me = self.producer.secret.public if self.producer is not None else b""
        if not votes.is_worth_a_block(me):
            return False
        return (
            chain.head.votes.finalized < final
            or chain.ledger.is_due(slot)
            or chain.ledger.validators.is_changing
            or chain.ledger.is_changed_above(final)
        )

    def _settle(self, now_ms: int) -> None:
        unsettled = self.chain.unsettled
        since_ms = now_ms - self._last_settled_ms
        if unsettled and (not 0 <= since_ms < SETTLE_INTERVAL_MS or unsettled >= MAX_UNSETTLED):
            self._out.settled = self.chain.settle()
            self._last_settled_ms = now_ms

    def _note_refused(self, header: Header, refusal: Refused) -> None:
        self._out.note("block_refused", f"block {header.id.hex()[:12]}: {refusal}")
