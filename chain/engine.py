"""One node's protocol: ``effects = engine.handle(event, now_ms)``.

The engine owns the blockchain, the mempool, the sync and the producer.  It performs nothing: the caller
carries out the effects in their order, and a :class:`~chain.events.Commit`, always first, is durable before
the next effect begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain.admission import check_clock
from chain.arrivals import Arrival, WaitingRoom
from chain.attestations import VerifiedAttestation
from chain.blockchain import Added, Blockchain
from chain.blocks import Block, Heading, join
from chain.blocktree import Judged
from chain.clock import Mute, Trust, step_in_words
from chain.credentials import NOBODY, Credential
from chain.download import block_bytes
from chain.errors import Disposition, Reason, Refused
from chain.events import (
    AnnounceBlock,
    Ask,
    AskStatus,
    AttestationsReceived,
    BlockAnnounced,
    BlocksReceived,
    Dismiss,
    Effect,
    Equivocation,
    Event,
    Finalized,
    FollowWallClock,
    GossipTransactions,
    HeadingsReceived,
    HeadMoved,
    MissingReceived,
    Outcomes,
    Peer,
    PeerLost,
    Penalise,
    ReplyUnderWay,
    Request,
    RequestFailed,
    SendAttestations,
    SigningState,
    StatusReceived,
    Submitted,
    Tick,
    TransactionsReceived,
    WallClockStepped,
)
from chain.genesis import Genesis
from chain.headers import Header
from chain.heard import Heard
from chain.judgement import whole
from chain.keys import SecretKey
from chain.mempool import MAX_TRANSACTIONS, Mempool
from chain.messages import GetTransactions, Status
from chain.outbox import Outbox
from chain.production import Producer
from chain.registry import check_action, check_standing
from chain.restart import Restart
from chain.silence import Herald, silence
from chain.statements import NO_TAG
from chain.suppliers import Asked
from chain.sync import Sync, in_a_row
from chain.transactions import Action, Evidence, Lost, VerifiedTransaction, sign_transaction
from chain.trial import try_out
from chain.votes import Votes
from chain.witness import VerifiedStatement, Witness

# The state on disk follows what is final at most this often, so that busy records are written once.
SETTLE_INTERVAL_MS = 1_000
MAX_UNSETTLED = 256
# Gossip can be lost: ask one peer where it stands every so many slots, offer our own transactions again.
STATUS_EVERY_SLOTS = 8
REGOSSIP_EVERY_SLOTS = 32
CLEAR_EVERY_SLOTS = 8
MAX_REGOSSIP = 1_024
# So long what this node signs by itself waits for a block; then it is made anew, if there is still a need.
OWN_EXPIRY_BLOCKS = 1_000
# A leader with nothing to do makes a block where so many are not final: what two blocks can show final, they do.
MAX_QUIET_LAG = 2
EXPIRE_EVERY_BLOCKS = 16
# Fetched blocks of about so many bytes are added before other events have their turn: a third of a second.
FETCHED_AT_ONCE = 500_000


class Engine:
    """The protocol of one node.  With a ``secret`` it speaks while this key is a validator's.

    ``fresh_tag``, 16 random bytes, names a new signing state, where ``signing`` is None because the old one was lost.
    ``restart`` is one that this home signed.
    """

    def __init__(
        self,
        genesis: Genesis,
        chain: Blockchain,
        *,
        secret: SecretKey | None = None,
        signing: SigningState | None = None,
        fresh_tag: bytes = NO_TAG,
        restart: Restart | None = None,
    ) -> None:
        self.genesis = genesis
        self.chain = chain
        self.mempool = Mempool(chain.ledger.next_nonce, genesis.max_expiry_blocks)
        self.sync = Sync()
        self.producer = None if secret is None else Producer(genesis, secret, signing, fresh_tag, restart)
        self.trust = Trust(genesis, b"" if secret is None else secret.public)
        self._waiting = WaitingRoom()
        self.heard = Heard()
        self._witness = Witness()
        self._lost: bytes = b""
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
            case HeadingsReceived():
                self._on_headings(event, now_ms)
            case BlocksReceived():
                self._on_blocks(event, now_ms)
            case ReplyUnderWay(peer, request, received, size):
                self.sync.suppliers.under_way(peer, request, received, size)
            case AttestationsReceived(_, attestations):
                self._take_attestations(attestations.attestations)
            case StatusReceived(peer, claim):
                is_validator = claim.status.credential.key in self.chain.electorate.leaders
                self.sync.note(peer, claim.status, is_validator=is_validator)
                if self.trust.heard(peer, claim.status.credential.key, claim.status.time_ms, now_ms):
                    self._ask_status(peer, now_ms)
            case WallClockStepped(ahead_ms):
                self.trust.stepped(ahead_ms, now_ms)
                self._out.note("clock_stepped", step_in_words(ahead_ms))
            case RequestFailed(peer, request):
                self._on_failed(peer, request, now_ms)
            case PeerLost(peer):
                self._waiting.drop(peer)
                self.sync.forget(peer)
                self.trust.lost(peer)
        self._look_at_clock(now_ms)
        self._take_fetched(now_ms)
        for ask in self.sync.next_requests(self.chain, now_ms):
            self._out.put(ask)
        self._speak(now_ms)
        self._settle(now_ms)
        news = self._herald.news(self.silence(now_ms)) if isinstance(event, Tick) else None
        if news is not None:
            self._out.put(news)
        return self._out.take()

    def wake_ms(self, now_ms: int) -> int:
        """When the next :class:`Tick` is wanted: once a slot at least, also to see that a clock was set."""
        next_slot_ms = self.genesis.slot_start_ms(self.genesis.slot_at(now_ms) + 1)
        return min([next_slot_ms, *self._waiting.wake_ms(), *self.sync.wake_ms(now_ms)])

    def status(self, now_ms: int, credential: Credential = NOBODY) -> Status:
        """Where this node stands and what time it has; ``credential`` is shown while its key is a validator's."""
        head, final, time_ms = self.chain.head.header, self.chain.finalized, self.trust.time_to_tell(now_ms)
        shown = credential if self.is_validator else NOBODY
        return Status(head.id, head.height, head.mhp, final.height, max(0, time_ms), shown)

    def silence(self, now_ms: int) -> Mute | None:
        """Why this validator makes no blocks at present; None where it does, and of an observer."""
        if self.producer is None or not self.is_validator:
            return None
        return silence(self.producer, self.trust, self.chain, now_ms)

    @property
    def is_validator(self) -> bool:
        """Whether this node's key leads slots, as of the head."""
        producer = self.producer
        return producer is not None and producer.secret.public in self.chain.electorate.leaders

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
            judged = self.chain.check(header, arrival.announcement.ballot, solicited=False)
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
            block = join(arrival.header, arrival.announcement.ballot, transactions)
            self._add(block, judged, now_ms, arrived_in_slot=arrival.arrived_in_slot)
        except Refused as refusal:
            self._note_refused(arrival.header, refusal)

    def _on_missing(self, event: MissingReceived, now_ms: int) -> None:
        fetched = {transaction.id: transaction for transaction in event.transactions}
        for arrival in self._waiting.take_completed(event.peer, event.request):
            self._proceed(arrival, now_ms, fetched)

    def _on_failed(self, peer: Peer, request: Request, now_ms: int) -> None:
        self._waiting.drop(peer)
        self.sync.failed(peer, request, now_ms)
        self._doubt(peer, now_ms)

    def _doubt(self, peer: Peer, now_ms: int) -> None:
        """A peer's claim may have been good and the network bad: hear it again before the next try, or do without."""
        if self.sync.suppliers.has_lost_its_place(peer):
            self.sync.forget(peer)
            self._out.put(Dismiss(peer))
        else:
            self._ask_status(peer, now_ms)

    def _on_headings(self, event: HeadingsReceived, now_ms: int) -> None:
        """What a peer shows of its chain: judge header after header; the first bad one ends it and blames the peer."""
        asked = self.sync.suppliers.close(event.peer, event.request)
        if asked is None:
            return
        self.trust.saw((heading.header for heading in event.headings), now_ms)
        good: list[Heading] = []
        refusal: Refused | None = None
        try:
            for heading in in_a_row(asked, event.headings):
                self._show(heading, now_ms)
                good.append(heading)
        except Refused as refused:
            refusal = refused
            self._blame(asked, refusal)
        if not self.sync.showed(asked, good, refusal, now_ms):
            self._doubt(event.peer, now_ms)

    def _show(self, heading: Heading, now_ms: int) -> None:
        header, final = heading.header, self.chain.finalized
        if header.height < final.height or header.id == final.id or header.id in self.chain.tree:
            return
        check_clock(self.genesis, header, now_ms)
        self._watch(header)
        self.sync.skeleton.add(self.chain, heading)

    def _blame(self, asked: Asked, refusal: Refused) -> None:
        """Why something that was asked for is refused; that a branch lost while it was on its way is nobody's fault."""
        if refusal.reason is Reason.UNKNOWN_PARENT:
            return
        peer = asked.supplier.peer
        self._out.note("download_refused", f"from {peer}: {refusal}")
        has_lost = refusal.reason is Reason.CROSSES_FINALITY and asked.final_height < self.chain.finalized.height
        if refusal.reason.disposition is Disposition.BLAME and not has_lost:
            self._out.put(Penalise(peer, refusal))

    def _on_blocks(self, event: BlocksReceived, now_ms: int) -> None:
        asked = self.sync.suppliers.close(event.peer, event.request)
        if asked is None:
            return
        refusal = self.sync.download.take(asked, event.blocks, now_ms)
        if refusal is not None:
            self._blame(asked, refusal)
        if self.sync.suppliers.failures(event.peer):
            self._doubt(event.peer, now_ms)

    def _take_fetched(self, now_ms: int) -> None:
        """Add what was fetched, block after block, as much as does not keep other events waiting for long."""
        size = 0
        for block, judged in self.sync.download.ready(self.chain):
            try:
                self._add(block, judged, now_ms, arrived_in_slot=True)
            except Refused as refusal:
                self._condemn(block, refusal, now_ms)
                return
            self.sync.delivered(now_ms)
            size += block_bytes(block)
            if size >= FETCHED_AT_ONCE:
                return

    def _condemn(self, block: Block, refusal: Refused, now_ms: int) -> None:
        """A block whose header is good is bad: whoever showed it as part of its own chain never executed it."""
        for peer in self.sync.condemn(self.chain, block.id, now_ms):
            self._out.note("download_refused", f"from {peer}: {refusal}")
            if refusal.reason.disposition is Disposition.BLAME:
                self._out.put(Penalise(peer, refusal))
            self._doubt(peer, now_ms)

    def _take_attestations(self, attestations: Sequence[VerifiedAttestation]) -> None:
        for attestation in attestations:
            if attestation.height > self.chain.finalized.height and self.heard.add(attestation):
                self._watch(attestation)

    def _watch(self, statement: VerifiedStatement) -> None:
        """See who says what, before it is judged: also what is refused is evidence.

        A key that speaks on another machine too must stop here, before the two contradict each other.
        """
        rival = self._witness.note(statement)
        if rival is not None:
            self._out.put(Equivocation(rival, statement))
            self._accuse(rival, statement)
        if self.producer is not None and self.producer.seen_elsewhere(statement):
            self._lose_signing(self.producer)

    def _lose_signing(self, producer: Producer) -> None:
        self._out.signing, self._out.is_signing_lost = None, True
        if not producer.is_stopped:
            self._out.note(
                "signing_lost",
                "the network restarted without what this home signed last, or this home was restored since: this "
                "validator signs again, from a new signing state, once the chain made final that it starts anew",
            )
            return
        self._out.note(
            "key_used_elsewhere",
            "this key has spoken elsewhere: on another machine, or before this home was restored; this node says no "
            "more. Make sure that no other machine runs with the key, then start this one again",
        )

    def _accuse(self, rival: VerifiedStatement, statement: VerifiedStatement) -> None:
        """A validator that sees another contradict itself brings the evidence on the chain, once an offence."""
        culprit = statement.speaker
        if self.producer is None or culprit == self.producer.secret.public:
            return
        if self._is_on_its_way(self._accused.get(culprit, b"")):
            return
        first, second = sorted((rival, statement), key=lambda item: item.id)
        accusation = self._send_own(Evidence(first.raw, second.raw))
        if accusation:
            self._accused[culprit] = accusation

    def _is_on_its_way(self, transaction_id: bytes) -> bool:
        """Whether a transaction of our own waits for a block, and not behind a gap, where it would wait for ever."""
        waiting = self.mempool.get(transaction_id)
        return waiting is not None and waiting.nonce < self.mempool.next_free(waiting.actor)

    def _clear(self, key: bytes) -> None:
        """Drop what waits of our own key and can never enter a block: what this node has to say would wait behind it.

        Who makes blocks drops it doing so; but who has lost its signing state makes none.
        """
        waiting = self.mempool.of(key)
        outcomes = try_out(self.chain, self.mempool, waiting, 0) if waiting else ()
        for transaction, refusal in zip(waiting, outcomes, strict=True):
            if refusal is not None and refusal.reason.disposition is not Disposition.LATER:
                self.mempool.remove(transaction.id)

    def _send_own(self, action: Action) -> bytes:
        """Sign and send what the node itself has to say as a transaction; its id, or nothing where it is refused."""
        if self.producer is None:
            return b""
        key, height = self.producer.secret, self.chain.head.header.height + 1
        expiry_height = height + min(OWN_EXPIRY_BLOCKS, self.genesis.max_expiry_blocks)
        transaction = sign_transaction(key, self.genesis.id, self.mempool.next_free(key.public), expiry_height, action)
        if self._take_transactions((transaction,)) != [None]:
            return b""
        self.mempool.claim((transaction,))
        self._out.put(GossipTransactions((transaction,)))
        return transaction.id

    def _add(self, block: Block, judged: Judged, now_ms: int, *, arrived_in_slot: bool) -> None:
        self._watch_carried(block, judged.votes)
        added = self.chain.add(block, arrived_in_slot=arrived_in_slot, judged=judged)
        if not added.adopted:
            self._out.store_side(block)
        self._after(added, now_ms)

    def _watch_carried(self, block: Block, votes: Votes) -> None:
        """Hear what a block carries and nobody told us."""
        for carried in block.ballot.attestations:
            row = votes.row(carried.height)
            if row is not None and not self.heard.knows(carried, row.id):
                self._take_attestations((whole(carried, votes, self.genesis.id),))

    def _after(self, added: Added, now_ms: int) -> None:
        """Bring mempool and commit in line with a chain that changed."""
        if not added.adopted:
            return
        self._out.store_move(added.abandoned, added.adopted)
        head = self.chain.head.header
        for block in added.adopted:
            self.mempool.discard(block.transactions)
        self._take_back(added.abandoned)
        if head.height % EXPIRE_EVERY_BLOCKS == 0:
            self.mempool.expire(head.height + 1)
        delay_ms = now_ms - self.genesis.slot_start_ms(head.slot)
        self._out.put(HeadMoved(head, len(added.adopted[-1].transactions), len(added.abandoned), delay_ms))
        if added.finalized:
            self._out.finalized_height = added.finalized[-1].height
            self.heard.drop(self.chain.finalized.height)
            self.mempool.forget_aside(self.chain.finalized.height)
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
        if slot % CLEAR_EVERY_SLOTS == 0 and self.producer is not None and self.producer.is_silent:
            self._clear(self.producer.secret.public)
        if slot % REGOSSIP_EVERY_SLOTS == 0:
            mine = self.mempool.claimed(MAX_REGOSSIP)
            if mine:
                self._out.put(GossipTransactions(mine))

    def _ask_status(self, peer: Peer, now_ms: int) -> None:
        self.trust.asked(peer, now_ms)
        self._out.put(AskStatus(peer))

    def _look_at_clock(self, now_ms: int) -> None:
        if self.trust.look(self.chain.head.header, self.chain.electorate.current, now_ms):
            self._out.put(FollowWallClock())
            self._out.note("clock_set", "time is that of the wall clock again")
        for peer in self.trust.to_ask(now_ms):
            self._ask_status(peer, now_ms)

    def _speak(self, now_ms: int) -> None:
        """Attest the head and make the block of this slot, as far as this node is a validator that may.

        While its time is in doubt it says nothing; that a signing state was lost, it says at any time.
        """
        producer, chain = self.producer, self.chain
        is_alone = len(chain.electorate.leaders) == 1
        if producer is None or self.sync.is_catching_up(now_ms, self.genesis.slot_ms, is_alone=is_alone):
            return
        self._renew(producer)
        if self.trust.mute(now_ms) is not None:
            return
        attestation = producer.attest(chain)
        if attestation is not None:
            self._out.signing = producer.signing
            self.heard.add(attestation)
            self._out.put(SendAttestations(self.heard.of(attestation.speaker)))
        self._produce(producer, now_ms)

    def _renew(self, producer: Producer) -> None:
        """Where the signing state was lost, or another machine renewed it, do what the chain makes of it."""
        if producer.resume(self.chain):
            self._out.signing = producer.signing
        if producer.is_overruled(self.chain):
            self._lose_signing(producer)
        if producer.needs_tag(self.chain):
            self._report_loss(producer)

    def _report_loss(self, producer: Producer) -> None:
        """Say that the signing state was lost; anew where the chain meanwhile knows of another, at an earlier start."""
        key = producer.secret.public
        loss = Lost(self.chain.ledger.validators.tag(key), producer.fresh_tag)
        waiting = self.mempool.get(self._lost)
        if waiting is not None and waiting.action == loss and self._is_on_its_way(self._lost):
            return
        for stale in [item for item in self.mempool.of(key) if isinstance(item.action, Lost)]:
            self.mempool.remove(stale.id)
        self._lost = self._send_own(loss)

    def _produce(self, producer: Producer, now_ms: int) -> None:
        chain, restart = self.chain, producer.due_restart(self.chain)
        slot = producer.due_slot(chain.head if restart is None else chain.tree[restart.tip], now_ms)
        if slot is None:
            return
        if restart is not None:
            self._go_back(restart.tip)
        is_needed = restart is not None or self._is_unfinished(slot) or self._is_heartbeat(slot)
        attempt = (slot, chain.head.header.id, self.mempool.arrivals)
        if not is_needed and (not len(self.mempool) or attempt == self._last_attempt):
            return
        self._last_attempt = attempt
        made = producer.make(chain, self.mempool, self.heard, slot, may_be_empty=is_needed)
        if made is None:
            return
        added = chain.adopt(made.block, made.changes, made.votes)
        self._out.signing = producer.signing
        self._after(added, now_ms)
        for transaction in made.hopeless:
            self.mempool.set_aside(transaction, made.block.header.height)
        self._out.put(AnnounceBlock(made.block))

    def _go_back(self, tip: bytes) -> None:
        """Leave what stands on the block that people let the chain go on from."""
        abandoned = self.chain.return_to(tip).abandoned
        self._out.store_move(abandoned, ())
        self._take_back(abandoned)

    def _take_back(self, abandoned: Sequence[Block]) -> None:
        """What abandoned blocks held waits for others, and what they ruled out may be possible again."""
        height = self.chain.head.header.height + 1
        for block in reversed(abandoned):
            self.mempool.restore(block.transactions, height)
            self.mempool.claim(block.transactions)
        if abandoned:
            self.mempool.bring_back(height)

    def _is_heartbeat(self, slot: int) -> bool:
        """Whether an empty block is due as a sign of life.

        It is counted from what is final, so that nobody's empty blocks keep it from becoming so; while finality is out
        of reach, from the head, so that the chain grows slowly.
        """
        quiet_slots = self.genesis.quiet_slots(len(self.chain.electorate.leaders))
        since = self.chain.finalized if self._is_worth_a_block() else self.chain.head.header
        return slot - since.slot >= quiet_slots

    def _is_worth_a_block(self) -> bool:
        me = self.producer.secret.public if self.producer is not None else b""
        return self.chain.head.votes.is_worth_a_block(me)

    def _is_unfinished(self, slot: int) -> bool:
        """Whether blocks are wanted though nothing waits.

        That is while changes are not final yet, a deadline has passed, or a change of the validators is on its
        way; while more blocks are not final than the votes about the last ones can make so, whoever made them; and
        while nodes may disagree on what is final because this node saw it on a branch that lost.  While too many
        validators are away for anything to become final, haste would only grow the chain: heartbeats do, and whoever
        comes back says so with a block.
        """
        chain = self.chain
        final = chain.finalized.height
        if not self._is_worth_a_block():
            return False
        return (
            chain.head.votes.finalized < final
            or chain.head.header.height - chain.head.votes.finalized > MAX_QUIET_LAG
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
