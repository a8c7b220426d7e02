"""What peers bring of the chain: blocks on their way in, announced or downloaded, and attestations.

A block that is announced waits for its slot and its transactions; what does not attach is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain.base.errors import Disposition, Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import Judged
from chain.consensus.attestations import VerifiedAttestation
from chain.consensus.headers import Header
from chain.consensus.judgement import whole
from chain.consensus.votes import Votes
from chain.content.blocks import Block, Heading, join
from chain.content.transactions import VerifiedTransaction
from chain.protocol.admission import check_clock
from chain.protocol.arrivals import Arrival, WaitingRoom
from chain.protocol.clock import Trust
from chain.protocol.download import block_bytes
from chain.protocol.events import (
    Ask,
    AskStatus,
    BlockAnnounced,
    BlocksReceived,
    Dismiss,
    HeadingsReceived,
    MissingReceived,
    Peer,
    Penalise,
    Request,
)
from chain.protocol.headway import Headway
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.messages import GetTransactions, Status
from chain.protocol.outbox import Outbox
from chain.protocol.suppliers import Asked
from chain.protocol.sync import Sync, in_a_row
from chain.protocol.testimony import Testimony

# Fetched blocks of about so many bytes are added before other events have their turn: a third of a second.
FETCHED_AT_ONCE = 500_000


class Intake:
    """Takes what peers bring into the chain, and asks them for what is missing.

    All that it is given belongs to one engine; what every statement shows of its speaker is ``testimony``'s to say,
    and what a new head means for the rest of the node ``headway``'s.
    """

    def __init__(
        self,
        chain: Blockchain,
        mempool: Mempool,
        heard: Heard,
        sync: Sync,
        trust: Trust,
        waiting: WaitingRoom,
        testimony: Testimony,
        headway: Headway,
        out: Outbox,
    ) -> None:
        self._genesis = chain.genesis
        self._chain = chain
        self._mempool = mempool
        self._heard = heard
        self._sync = sync
        self._trust = trust
        self._waiting = waiting
        self._testimony = testimony
        self._headway = headway
        self._out = out

    # ---------------------------------------------------------------------------------------------------- announced

    def announced(self, event: BlockAnnounced, now_ms: int) -> None:
        """An admitted announcement: only what can have changed since it came in is judged again, clock and tree."""
        header = event.announcement.header
        if header.id in self._chain.tree or header.id in self._waiting:
            return
        start_ms = self._genesis.slot_start_ms(header.slot)
        try:
            check_clock(self._genesis, header, now_ms)
        except Refused as refusal:
            self._note_refused(header, refusal)
            return
        self._testimony.watch(header)
        arrival = Arrival(
            event.peer,
            event.announcement,
            arrived_in_slot=self._genesis.slot_at(max(now_ms, start_ms)) == header.slot,
            due_ms=start_ms if start_ms > now_ms else 0,
        )
        if arrival.due_ms:
            self._waiting.add(arrival)
        else:
            self._proceed(arrival, now_ms)

    def tick(self, now_ms: int) -> None:
        """Go on with the blocks whose slot has begun."""
        for arrival in self._waiting.take_due(now_ms):
            self._proceed(arrival, now_ms)

    def missing(self, event: MissingReceived, now_ms: int) -> None:
        """The reply to what an announced block lacked."""
        fetched = {transaction.id: transaction for transaction in event.transactions}
        for arrival in self._waiting.take_completed(event.peer, event.request):
            self._proceed(arrival, now_ms, fetched)

    def _proceed(
        self, arrival: Arrival, now_ms: int, fetched: Mapping[bytes, VerifiedTransaction] | None = None
    ) -> None:
        """Judge an announced header and complete its block, from the mempool or by asking its announcer.

        ``fetched`` is what the announcer answered, once it was asked.  What waited is judged again: clock and tree
        may have changed.
        """
        header = arrival.header
        if header.id in self._chain.tree:
            return
        try:
            check_clock(self._genesis, header, now_ms)
            judged = self._chain.check(header, arrival.announcement.ballot, solicited=False)
        except Refused as refusal:
            if refusal.reason is Reason.UNKNOWN_PARENT:
                self._sync.note_header(arrival.peer, header)
            else:
                self._note_refused(header, refusal)
            return
        found: dict[bytes, VerifiedTransaction] = {}
        missing: list[bytes] = []
        ids = arrival.announcement.transaction_ids
        for key in ids:
            transaction = (fetched or {}).get(key) or self._mempool.get(key)
            if transaction is None:
                missing.append(key)
            else:
                found[key] = transaction
        if not missing:
            self._complete(arrival, judged, [found[key] for key in ids], now_ms)
        elif fetched is not None:
            self._sync.note_header(arrival.peer, header)
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

    # ------------------------------------------------------------------------------------------------------ fetched

    def shown(self, event: HeadingsReceived, now_ms: int) -> None:
        """What a peer shows of its chain: judge header after header; the first bad one ends it and blames the peer."""
        asked = self._sync.suppliers.close(event.peer, event.request)
        if asked is None:
            return
        self._trust.saw((heading.header for heading in event.headings), now_ms)
        good: list[Heading] = []
        refusal = None
        try:
            for heading in in_a_row(asked, event.headings):
                self._judge(heading, now_ms)
                good.append(heading)
        except Refused as refused:
            refusal = refused
            self._refuse(asked, refused)
        if not self._sync.showed(asked, good, refusal, now_ms):
            self._doubt(event.peer, now_ms)

    def _judge(self, heading: Heading, now_ms: int) -> None:
        header, final = heading.header, self._chain.finalized
        if header.height < final.height or header.id == final.id or header.id in self._chain.tree:
            return
        check_clock(self._genesis, header, now_ms)
        self._testimony.watch(header)
        self._sync.skeleton.add(self._chain, heading)

    def brought(self, event: BlocksReceived, now_ms: int) -> None:
        """Blocks that were asked for; :meth:`fetched` adds them when those before them are here."""
        asked = self._sync.suppliers.close(event.peer, event.request)
        if asked is None:
            return
        refusal = self._sync.download.take(asked, event.blocks, now_ms)
        if refusal is not None:
            self._refuse(asked, refusal)
        if self._sync.suppliers.failures(event.peer):
            self._doubt(event.peer, now_ms)

    def _refuse(self, asked: Asked, refusal: Refused) -> None:
        if refusal.reason is Reason.UNKNOWN_PARENT:  # of another branch than ours, which begins further below
            return
        peer = asked.supplier.peer
        self._out.note("download_refused", f"from {peer}: {refusal}")
        # A branch that lost while it was on its way is nobody's fault.  Nor is one that is said to be prevoted less far
        # than ours is final: its followers cannot know that it lost, and who begins with a state has a head below it.
        could_win_before = min(asked.final_height, asked.mhp) < self._chain.finalized.height
        has_lost = refusal.reason is Reason.CROSSES_FINALITY and could_win_before
        if refusal.reason.disposition is Disposition.BLAME and not has_lost:
            self._out.put(Penalise(peer, refusal))

    def fetched(self, now_ms: int) -> None:
        """Add the blocks that are here, one after the other, as many as do not keep other events waiting for long."""
        size = 0
        for block, judged in self._sync.download.ready(self._chain):
            try:
                self._add(block, judged, now_ms, arrived_in_slot=True)
            except Refused as refusal:
                self._condemn(block, refusal, now_ms)
                return
            self._sync.delivered(now_ms)
            size += block_bytes(block)
            if size >= FETCHED_AT_ONCE:
                return

    def _condemn(self, block: Block, refusal: Refused, now_ms: int) -> None:
        """A block is bad whose header is good: whoever showed that as part of its own chain never executed it."""
        for peer in self._sync.condemn(self._chain, block.id, now_ms):
            self._out.note("download_refused", f"from {peer}: {refusal}")
            if refusal.reason.disposition is Disposition.BLAME:
                self._out.put(Penalise(peer, refusal))
            self._doubt(peer, now_ms)

    # ---------------------------------------------------------------------------------------------------- both ways

    def attested(self, attestations: Sequence[VerifiedAttestation]) -> None:
        """Remember what others stand behind, for the blocks that we make."""
        for attestation in attestations:
            if attestation.height > self._chain.finalized.height and self._heard.add(attestation):
                self._testimony.watch(attestation)

    def _add(self, block: Block, judged: Judged, now_ms: int, *, arrived_in_slot: bool) -> None:
        self._watch_carried(block, judged.votes)
        added = self._chain.add(block, arrived_in_slot=arrived_in_slot, judged=judged)
        if not added.adopted:
            self._out.store_side(block)
        self._headway.moved(added, now_ms)

    def _watch_carried(self, block: Block, votes: Votes) -> None:
        """Hear what a block carries and nobody told us."""
        for carried in block.ballot.attestations:
            row = votes.row(carried.height)
            if row is not None and not self._heard.knows(carried, row.id):
                self.attested((whole(carried, votes, self._genesis.id),))

    def _note_refused(self, header: Header, refusal: Refused) -> None:
        self._out.note("block_refused", f"block {header.id.hex()[:12]}: {refusal}")

    # -------------------------------------------------------------------------------------------------------- peers

    def claimed(self, peer: Peer, status: Status, now_ms: int) -> None:
        """A peer says where it stands, and what time it has."""
        key = status.credential.key
        self._sync.note(peer, status, key if key in self._chain.electorate.leaders else b"")
        if self._trust.heard(peer, key, status.time_ms, now_ms):
            self.ask_status(peer, now_ms)

    def failed(self, peer: Peer, request: Request, now_ms: int, *, is_refused: bool) -> None:
        """A peer did not answer, or said that it does not have what it was asked for."""
        self._waiting.drop(peer)
        self._sync.failed(peer, request, now_ms, is_refused=is_refused)
        self._doubt(peer, now_ms)

    def _doubt(self, peer: Peer, now_ms: int) -> None:
        """A peer's claim may have been good and the network bad: hear it again before the next try, or do without."""
        if self._sync.suppliers.has_lost_its_place(peer):
            self._sync.forget(peer)
            self._out.put(Dismiss(peer))
        else:
            self.ask_status(peer, now_ms)

    def lost(self, peer: Peer) -> None:
        """A peer is gone."""
        self._waiting.drop(peer)
        self._sync.forget(peer)
        self._trust.lost(peer)

    def ask_status(self, peer: Peer, now_ms: int) -> None:
        """Ask a peer where it stands."""
        self._trust.asked(peer, now_ms)
        self._out.put(AskStatus(peer))
