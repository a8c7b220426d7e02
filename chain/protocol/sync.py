"""Whom to ask for what: how a node that is behind, or on a losing branch, gets the blocks it lacks.

Headers first: a peer that claims a longer chain is asked for headers with their ballots, which are judged without
executing anything (:mod:`chain.protocol.skeleton`).  Then their blocks, in ranges from several peers
(:mod:`chain.protocol.download`)::

    claim ──► headings ──► skeleton ──► ranges of blocks ──► the block tree, in their order

A peer that is slow, fails or lies holds nothing up: who does not answer in the time that its line needs is not waited
for, and what it was asked for is asked of the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.forkchoice import Rank
from chain.consensus.headers import Header
from chain.content.blocks import Heading
from chain.protocol.download import Download
from chain.protocol.events import Ask, Peer, Request
from chain.protocol.messages import GetHeadings, Status
from chain.protocol.skeleton import Skeleton
from chain.protocol.suppliers import Asked, Supplier, Suppliers

NOWHERE = (-1, -1, -1)
# Where so little lies above what is final, asking for all of it costs less than a second try.
SHORT_BRANCH = 32
# Headers that a peer is asked for that has shown none yet; and those that it takes to be sure of what comes next.
PROBE_HEADINGS = 64
HEADINGS_AT_ONCE = 256
# What a heading takes with a handful of validators; only patience depends on it.
HEADING_BYTES = 1_000
# So many that have shown nothing yet are tried at a time, besides those that are known.
PROBES = 4
# Headers that wait for their blocks on the best branch, and on all: each holds the votes after it, some kilobytes.
MAX_PATH = 1_024
MAX_SKELETON = 4 * MAX_PATH
# A branch of which no block came for so long makes way for another.
STUCK_MS = 10_000
# While blocks come, ours would be made on a stale head; what brings nothing for so long does not keep a validator from
# its slots.
CATCH_UP_MS = 2_000
# Time for peers to say where they stand, before a validator that just started, or slept, makes a block.
START_PAUSE_MS = 900
# A node looks every slot: where it did not for so many, it was suspended or its clock jumped.
MAX_GAP_SLOTS = 5


class Sync:
    """What peers claim, what they have proven, and what is on its way.  ``named`` are the operator's own peers."""

    def __init__(self, named: Collection[Peer] = ()) -> None:
        self.suppliers = Suppliers(named)
        self.skeleton = Skeleton()
        self.download = Download(self.suppliers)
        # The last header of the branch that is being fetched.
        self._target = b""
        self._started_ms: int | None = None
        self._news_ms = 0
        self._last_ms = 0

    @property
    def is_downloading(self) -> bool:
        """Whether something of a longer chain is on its way."""
        return bool(self.suppliers.asked)

    def shown_height(self, chain: Blockchain) -> int:
        """How far blocks reach elsewhere: final ones by the peers that are known, a better branch by judged headers.

        Not by what just anybody claims: of that, strangers have as much as they like.
        """
        path = self.download.path
        proven = path[-1].header.height if path and self._rank(self._target) > chain.head.rank else 0
        return max(self.suppliers.said_final, proven)

    @property
    def statuses(self) -> dict[Peer, Status]:
        """The last claim of each peer."""
        return {supplier.peer: supplier.status for supplier in self.suppliers}

    # ------------------------------------------------------------------------------------------- what peers claim

    def note(self, peer: Peer, status: Status, validator: bytes = b"") -> None:
        """A peer says where it stands; it may be a machine of the ``validator`` with this key."""
        self.suppliers.note(peer, status, validator)

    def note_header(self, peer: Peer, header: Header) -> None:
        """A peer announced a block that does not attach: it may have the branch below it.

        It need not: what is announced is passed on before anybody has more of it than its header.
        """
        known = self.suppliers.get(peer)
        final_height, oldest_body = (known.status.finalized_height, known.status.oldest_body) if known else (0, 1)
        status = Status(header.id, header.height, header.mhp, final_height, oldest_body=oldest_body)
        if known is None or status.rank > known.status.rank:
            self.suppliers.note(peer, status, is_hearsay=True)

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        self.suppliers.forget(peer)

    # --------------------------------------------------------------------------------------------- what they answer

    def failed(self, peer: Peer, request: Request, now_ms: int, *, is_refused: bool = False) -> bool:
        """A request brought no usable reply.  False where sync did not ask it.

        Where a peer refused blocks, it does not have them any more: it is asked for later ones, and that is no failure.
        """
        asked = self.suppliers.close(peer, request)
        if asked is None:
            return False
        if is_refused and asked.ids:
            self.suppliers.lacks(asked.supplier, asked.request.from_height + len(asked.ids) - 1, now_ms)
            return True
        self.suppliers.failed(asked.supplier, now_ms)
        if asked.ids:
            asked.supplier.trail = b""
        return True

    def showed(self, asked: Asked, headings: Sequence[Heading], refusal: Refused | None, now_ms: int) -> bool:
        """These headers are on the skeleton or the tree now; the next was refused, if one was.

        False where the peer's claim, or what was taken for one, proved empty: it does not lead to its head, or not in
        the time that it takes.
        """
        supplier = asked.supplier
        if refusal is not None and refusal.reason is Reason.UNKNOWN_PARENT and not headings:
            return self._step_back(asked, now_ms)
        if not (headings or refusal or asked.is_claimed):
            self.suppliers.retract(supplier)
            return False
        if headings:
            last = headings[-1].header
            supplier.trail, supplier.trail_height, supplier.trail_to = last.id, last.height, asked.request.tip_id
            supplier.is_aside, supplier.back = supplier.back > 0 or supplier.is_aside, 0
        size = sum(len(heading.header.raw) + len(heading.ballot.raw) for heading in headings)
        is_whole = supplier.trail == asked.request.tip_id
        if refusal is not None or not self.suppliers.is_full(asked, len(headings), size, is_whole=is_whole):
            self.suppliers.failed(supplier, now_ms)
            return False
        self.suppliers.delivered(supplier, size, now_ms - asked.since_ms)
        return True

    def _step_back(self, asked: Asked, now_ms: int) -> bool:
        """What a peer showed does not attach: it follows another branch, which begins further below."""
        if asked.request.from_height <= asked.final_height + 1:
            self.suppliers.failed(asked.supplier, now_ms)
            return False
        asked.supplier.back = max(SHORT_BRANCH, 2 * asked.supplier.back)
        return True

    def condemn(self, chain: Blockchain, block_id: bytes, now_ms: int) -> list[Peer]:
        """A block proved invalid when it was executed: the peers that showed headers on it, as part of their chain."""
        culprits = [each for each in self.suppliers if self.skeleton.leads_through(chain, each.trail, block_id)]
        for supplier in culprits:
            supplier.trail = b""
            self.suppliers.failed(supplier, now_ms)
        self._target = b""
        return [supplier.peer for supplier in culprits]

    def delivered(self, now_ms: int) -> None:
        """A block that we did not know is in the tree now."""
        self._news_ms = now_ms

    # ------------------------------------------------------------------------------------------------- whom to ask

    def next_requests(self, chain: Blockchain, now_ms: int) -> list[Ask]:
        """What to ask for now, and of whom."""
        self._aim(chain, now_ms)
        asked = [*self._headings(chain, now_ms), *self.download.requests(chain, now_ms)]
        return [Ask(each.supplier.peer, each.request) for each in asked]

    def wake_ms(self, now_ms: int) -> list[int]:
        """When there is something to be done even if nothing happens."""
        if self.download.is_ready:
            return [now_ms]
        asked = self.suppliers.asked
        if not asked:
            return []
        due = [self.suppliers.late_at_ms(each) for each in asked]
        due += [silent_ms for each in asked if (silent_ms := self.suppliers.silent_at_ms(each)) is not None]
        return sorted({due_ms for due_ms in due if due_ms > now_ms})

    def _aim(self, chain: Blockchain, now_ms: int) -> None:
        """Follow the best branch that was proven; forget what leads nowhere."""
        if len(self.skeleton):
            tips = sorted(set(self._tips(chain, now_ms)))
            best = max(tips, key=self._rank, default=b"")
            self.skeleton.keep(chain, [best] if len(self.skeleton) > MAX_SKELETON else tips)
            if best != self._target:
                self._target, self.download.moved_ms = best, now_ms
        self.download.follow(self.skeleton.path(chain, self._target))

    def _tips(self, chain: Blockchain, now_ms: int) -> Iterator[bytes]:
        """The ends of what is worth fetching; the branch that is being fetched stays one while it moves."""
        ours = chain.head.rank
        if self._rank(self._target) > ours and 0 <= now_ms - self.download.moved_ms < STUCK_MS:
            yield self._target
        for supplier in self.suppliers:
            shown = self._rank(supplier.trail)
            if shown != NOWHERE and max(shown, supplier.status.rank) > ours:
                yield supplier.trail

    def _rank(self, tip_id: bytes) -> Rank:
        return self.skeleton.rank(tip_id) or NOWHERE

    def _headings(self, chain: Blockchain, now_ms: int) -> Iterator[Asked]:
        """Try who claims more and has shown nothing yet, some at a time; let one at a time show what comes next."""
        ours = chain.head.rank
        wanted = [each for each in self.suppliers if each.status.rank > ours and self._is_wanted(each, chain, now_ms)]
        if not wanted:
            return
        asked = [each for each in self.suppliers.asked if not each.ids]
        prompt = [each.supplier for each in asked if not self.suppliers.is_late(each, now_ms)]
        busy = {each.supplier.peer for each in asked}
        room = PROBES - len(prompt)
        is_led = any(supplier.trail for supplier in prompt) or len(self.download.path) >= MAX_PATH // 2
        for supplier in self.suppliers.in_order(each for each in wanted if each.peer not in busy):
            if supplier.trail and not is_led:
                is_led = True
            elif not supplier.trail and (room > 0 or supplier.is_known):
                room -= 1
            else:
                continue
            request = self._headings_of(supplier, chain, now_ms)
            self.suppliers.ask(request)
            yield request

    def _is_wanted(self, supplier: Supplier, chain: Blockchain, now_ms: int) -> bool:
        """Whether of what a peer claims more is wanted than was shown."""
        status = supplier.status
        return (
            status.height > chain.finalized.height
            and status.head_id not in chain.tree
            and status.head_id not in self.skeleton
            and not self.suppliers.rests(supplier, now_ms)
        )

    def _headings_of(self, supplier: Supplier, chain: Blockchain, now_ms: int) -> Asked:
        height, final_height = supplier.status.height, chain.finalized.height
        start = max(final_height + 1, min(self._next_height(supplier, chain), height))
        limit = HEADINGS_AT_ONCE if supplier.trail else PROBE_HEADINGS
        count = min(limit, height - start + 1)
        request = GetHeadings(supplier.status.head_id, start, count, supplier.pace.ask_bytes)
        expected = min(request.max_bytes, count * HEADING_BYTES)
        is_claimed = not supplier.is_hearsay
        return Asked(supplier, request, (), now_ms, final_height, supplier.status.mhp, expected, is_claimed)

    def _next_height(self, supplier: Supplier, chain: Blockchain) -> int:
        """Where a peer's next headers begin: after what is proven, if it follows that, else after what it has shown."""
        claim, path = supplier.status, self.download.path
        top = path[-1].header.height if path else chain.head.header.height
        if supplier.is_aside or supplier.trail_to == claim.head_id:
            is_on_path = any(judged.header.id == supplier.trail for judged in path)
            base = max(supplier.trail_height, top if is_on_path else 0) + 1
        elif claim.height - chain.finalized.height <= SHORT_BRANCH:
            base = 0
        elif claim.height > top:
            base = top + 1
        else:
            base = claim.height + 1 - SHORT_BRANCH
        return base - supplier.back

    # --------------------------------------------------------------------------------------------------------- time

    def is_catching_up(self, now_ms: int, slot_ms: int, *, is_alone: bool) -> bool:
        """Whether our head is known, or likely, to be stale; nobody is ahead of the one who ``is_alone``.

        To be asked at least once a slot, so that a pause of the process shows.
        """
        if self._started_ms is None or not 0 <= now_ms - self._last_ms <= MAX_GAP_SLOTS * slot_ms:
            self._started_ms = self._news_ms = now_ms
        self._last_ms = now_ms
        just_started = 0 <= now_ms - self._started_ms < START_PAUSE_MS and not is_alone
        return just_started or (self.is_downloading and 0 <= now_ms - self._news_ms < CATCH_UP_MS)


def in_a_row(asked: Asked, headings: Iterable[Heading]) -> Iterator[Heading]:
    """The headings of a reply, as long as they are one branch from the height asked for to the block claimed.

    Raises :class:`Refused` ``WRONG_HEIGHT``, ``UNSOLICITED``.
    """
    claim, tip_id = asked.supplier.status, asked.request.tip_id
    parent, height = b"", asked.request.from_height
    for heading in headings:
        header = heading.header
        if header.height != height:
            raise Refused(Reason.WRONG_HEIGHT, f"height {header.height} where {height} comes next in the reply")
        if parent and header.parent != parent:
            raise Refused(Reason.UNSOLICITED, "the reply is not one branch")
        if claim.head_id == tip_id != header.id and claim.height == height:
            raise Refused(Reason.UNSOLICITED, "the branch does not lead to the block that was claimed")
        yield heading
        parent, height = header.id, height + 1
