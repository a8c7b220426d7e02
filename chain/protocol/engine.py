"""One node's protocol: ``effects = engine.handle(event, now_ms)``.

The engine owns the blockchain, the mempool, the sync and the producer; it routes what happens to those who know what
follows, and says when this node speaks.  It performs nothing: the caller carries out the effects in their order, and a
:class:`~chain.protocol.events.Commit`, always first, is durable before the next effect begins.
"""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter

from chain.base.keys import SecretKey
from chain.branches.blockchain import Blockchain
from chain.consensus.restart import Restart
from chain.consensus.statements import NO_TAG
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction
from chain.protocol.admission import CLOCK_DISPARITY_MS
from chain.protocol.arrivals import WaitingRoom
from chain.protocol.clock import Mute, Trust, step_in_words
from chain.protocol.credentials import NOBODY, Credential
from chain.protocol.events import (
    AnnounceBlock,
    AttestationsReceived,
    BlockAnnounced,
    BlocksReceived,
    Effect,
    Event,
    FollowWallClock,
    GossipTransactions,
    HeadingsReceived,
    MissingReceived,
    Outcomes,
    Peer,
    PeerLost,
    ReplyUnderWay,
    RequestFailed,
    Resumed,
    SendAttestations,
    SigningState,
    StatusReceived,
    Submitted,
    Tick,
    TransactionsReceived,
    WallClockStepped,
)
from chain.protocol.headway import Headway
from chain.protocol.heard import Heard
from chain.protocol.intake import Intake
from chain.protocol.mempool import Mempool
from chain.protocol.messages import Status
from chain.protocol.outbox import Outbox
from chain.protocol.production import Producer
from chain.protocol.silence import Herald, silence
from chain.protocol.sync import Sync
from chain.protocol.testimony import Testimony
from chain.protocol.throttle import Throttle
from chain.protocol.trial import Desk, set_void_aside, sift, take_in
from chain.protocol.witness import Witness

# Gossip can be lost: ask one peer where it stands every so many slots, offer our own transactions again that waited for
# so long.
STATUS_EVERY_SLOTS = 8
REGOSSIP_EVERY_SLOTS = 8
CLEAR_EVERY_SLOTS = 8
MAX_REGOSSIP = 1_024
# A leader with nothing to do makes a block where so many are not final: what two blocks can show final, they do.
MAX_QUIET_LAG = 2


class Engine:
    """The protocol of one node.  With a ``secret`` it speaks while this key is a validator's.

    ``fresh_tag``, 16 random bytes, names a new signing state, where ``signing`` is None because the old one was lost.
    ``restart`` is one that this home signed; ``named`` are the peers that its operator named.
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
        named: Collection[Peer] = (),
    ) -> None:
        self.genesis = genesis
        self.chain = chain
        self.mempool = Mempool(chain.ledger.next_nonce, genesis.max_expiry_blocks)
        self.heard = Heard()
        self.sync = Sync(named)
        self.trust = Trust(genesis, b"" if secret is None else secret.public)
        self.waiting = WaitingRoom()
        self.witness = Witness()
        self.producer = None if secret is None else Producer(genesis, secret, signing, fresh_tag, restart)
        self._out = out = Outbox()
        self.throttle = Throttle(genesis.slot_ms)
        self._headway = Headway(chain, self.mempool, self.heard, self.throttle, out)
        self._testimony = Testimony(chain, self.mempool, self.witness, self.producer, out)
        self._intake = Intake(
            chain, self.mempool, self.heard, self.sync, self.trust, self.waiting, self._testimony, self._headway, out
        )
        self._herald = Herald()
        self._desk = Desk(chain, self.mempool)
        self._last_slot = 0
        self._claims_before = 0
        self._last_attempt: tuple[int, bytes, int] | None = None

    # -------------------------------------------------------------------------------- what is seen from outside

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Let ``event`` happen at ``now_ms`` (Unix milliseconds) and return what is to be done, in order."""
        self._out.clear()
        self._route(event, now_ms)
        self._look_at_clock(now_ms)
        self._intake.fetched(now_ms)
        for ask in self.sync.next_requests(self.chain, now_ms):
            self._out.put(ask)
        self._speak(now_ms)
        self._headway.settle(now_ms)
        news = self._herald.news(self.silence(now_ms)) if isinstance(event, Tick) else None
        if news is not None:
            self._out.put(news)
        return self._out.take()

    def _route(self, event: Event, now_ms: int) -> None:
        match event:
            case Tick():
                self._on_tick(now_ms)
            case Submitted(transactions):
                self._on_submitted(transactions, now_ms)
            case Resumed(transactions):
                self._on_resumed(transactions)
            case TransactionsReceived(_, batch):
                take_in(self.chain, self.mempool, batch.transactions)
            case BlockAnnounced():
                self._intake.announced(event, now_ms)
            case MissingReceived():
                self._intake.missing(event, now_ms)
            case HeadingsReceived():
                self._intake.shown(event, now_ms)
            case BlocksReceived():
                self._intake.brought(event, now_ms)
            case ReplyUnderWay(peer, request, received, size):
                self.sync.suppliers.under_way(peer, request, received, size, now_ms)
            case AttestationsReceived(_, attestations):
                self._intake.attested(attestations.attestations)
            case StatusReceived(peer, claim):
                self._intake.claimed(peer, claim.status, now_ms)
            case WallClockStepped(ahead_ms):
                self.trust.stepped(ahead_ms, now_ms)
                self._out.note("clock_stepped", step_in_words(ahead_ms))
            case RequestFailed(peer, request, is_refused):
                self._intake.failed(peer, request, now_ms, is_refused=is_refused)
            case PeerLost(peer):
                self._intake.lost(peer)

    def wake_ms(self, now_ms: int) -> int:
        """When the next :class:`Tick` is wanted: once a slot at least, also to see that a clock was set."""
        next_slot_ms = self.genesis.slot_start_ms(self.genesis.slot_at(now_ms) + 1)
        return min([next_slot_ms, *self.waiting.wake_ms(), *self.sync.wake_ms(now_ms)])

    def status(self, now_ms: int, credential: Credential = NOBODY) -> Status:
        """Where this node stands and what time it has; ``credential`` is shown while its key is a validator's."""
        head, final, time_ms = self.chain.head, self.chain.finalized, self.trust.time_to_tell(now_ms)
        shown = credential if self.is_validator else NOBODY
        mhp, restart, height = head.rank
        return Status(head.header.id, height, mhp, final.height, max(0, time_ms), shown, restart)

    def silence(self, now_ms: int) -> Mute | None:
        """Why this validator makes no blocks at present; None where it does, and of an observer."""
        producer = self.producer
        if producer is None or not (self.is_validator or producer.awaits_restart(self.chain)):
            return None
        return silence(producer, self.trust, self.chain, now_ms)

    @property
    def has_room_for_clients(self) -> bool:
        """Whether what a client submits now would be in a block soon."""
        return self.mempool.expected < self.throttle.room

    @property
    def has_room_for_peers(self) -> bool:
        """Whether transactions that peers pass on are looked at; those in blocks always are."""
        return self.mempool.expected < 2 * self.throttle.room

    @property
    def takes_strangers(self) -> bool:
        """Whether signatures of keys that did not enrol yet are looked at: anybody has as many as she likes."""
        return self.mempool.strangers < self.throttle.room

    @property
    def is_validator(self) -> bool:
        """Whether this node's key leads slots, as of the head."""
        producer = self.producer
        return producer is not None and producer.secret.public in self.chain.electorate.leaders

    def stop(self) -> list[Effect]:
        """The last effects before a clean end: see :meth:`~chain.protocol.headway.Headway.stop`."""
        self._out.clear()
        self._headway.stop()
        return self._out.take()

    # -------------------------------------------------------------------------------------- what clients and time bring

    def _on_submitted(self, transactions: tuple[VerifiedTransaction, ...], now_ms: int) -> None:
        outcomes = self._desk.submit(transactions, self.genesis.slot_at(now_ms))
        taken = tuple(
            transaction for transaction, outcome in zip(transactions, outcomes, strict=True) if outcome is None
        )
        self._out.put(Outcomes(tuple(outcomes)))
        if taken:
            self._out.put(GossipTransactions(taken))

    def _on_resumed(self, transactions: tuple[VerifiedTransaction, ...]) -> None:
        """What was accepted before is not judged anew: it waits, or is set aside, like what a reorg gives back.

        In the order of nonces: of a long queue most would be early in any other, and not taken.
        """
        self.mempool.restore(sorted(transactions, key=attrgetter("nonce")), self.chain.head.header.height + 1)
        waiting = tuple(transaction for transaction in transactions if transaction.id in self.mempool)
        if waiting:
            self._out.put(GossipTransactions(waiting))

    def _on_tick(self, now_ms: int) -> None:
        self._intake.tick(now_ms)
        slot = self.genesis.slot_at(now_ms)
        if slot == self._last_slot:
            return
        self._last_slot = slot
        if slot % STATUS_EVERY_SLOTS == 0 and self.sync.statuses:
            peers = sorted(self.sync.statuses)
            self._intake.ask_status(peers[slot // STATUS_EVERY_SLOTS % len(peers)], now_ms)
        if self.mempool.is_full or not (self.has_room_for_clients and self.takes_strangers):
            sift(self.chain, self.mempool)
        if slot % CLEAR_EVERY_SLOTS == 0:
            self._testimony.clear()
        if slot % REGOSSIP_EVERY_SLOTS == 0:
            overdue = self.mempool.overdue(self._claims_before, MAX_REGOSSIP)
            if overdue:
                self._out.put(GossipTransactions(overdue))
            self._claims_before = self.mempool.claims

    def _look_at_clock(self, now_ms: int) -> None:
        if self.trust.look(self.chain.head.header, self.chain.electorate.current, now_ms):
            self._out.put(FollowWallClock())
            self._out.note("clock_set", "time is that of the wall clock again")
            for peer in sorted(self.sync.statuses):  # by another time its claim could not be true, or was
                self._intake.ask_status(peer, now_ms)
        for peer in self.trust.to_ask(now_ms):
            self._intake.ask_status(peer, now_ms)

    # ------------------------------------------------------------------------------------------ what this node says

    def _speak(self, now_ms: int) -> None:
        """Attest the head and make the block of this slot, as far as this node is a validator that may.

        While its time is in doubt it says nothing; that a signing state was lost, it says at any time.
        """
        producer, chain = self.producer, self.chain
        is_alone = len(chain.electorate.leaders) == 1
        if producer is None or self.sync.is_catching_up(now_ms, self.genesis.slot_ms, is_alone=is_alone):
            return
        is_mute = self.trust.mute(now_ms) is not None
        self._testimony.renew(producer, None if is_mute else self.genesis.slot_at(now_ms + CLOCK_DISPARITY_MS))
        if is_mute:
            return
        attestation = producer.attest(chain)
        if attestation is not None:
            self._out.signing = producer.signing
            self.heard.add(attestation)
            self._out.put(SendAttestations(self.heard.up_to(attestation)))
        self._produce(producer, now_ms)

    def _produce(self, producer: Producer, now_ms: int) -> None:
        chain, restart = self.chain, producer.due_restart(self.chain)
        slot = producer.due_slot(chain.head if restart is None else chain.tree[restart.tip], now_ms)
        if slot is None:
            return
        if restart is not None and not self._headway.go_back(restart.tip):
            return
        is_needed = restart is not None or self._is_unfinished(slot) or self._is_heartbeat(slot)
        accusations = self._testimony.accusations()
        attempt = (slot, chain.head.header.id, self.mempool.arrivals)
        if not is_needed and (not (self.mempool.ready or accusations) or attempt == self._last_attempt):
            return
        self._last_attempt = attempt
        made = producer.make(
            chain,
            self.mempool,
            self.heard,
            slot,
            accusations=accusations,
            most=self.throttle.limit,
            may_be_empty=is_needed,
        )
        if made is None:
            return
        added = chain.adopt(made.block, made.changes, made.votes)
        self._out.signing = producer.signing
        self._headway.moved(added, now_ms)
        set_void_aside(chain, self.mempool, made.hopeless)
        self._out.put(AnnounceBlock(made.block))

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
