"""When and what a validator signs.

A validator signs at most one block a slot, in its own slots only, and never where it cannot rule out having
signed already.  What it signed last is a :class:`SigningState`, durable before the block leaves the machine.
Source: protocol 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain import registry
from chain.blockchain import Blockchain
from chain.blocks import MAX_BLOCK_TRANSACTIONS, MAX_BODY_BYTES, Block, join
from chain.draft import Changes, Draft
from chain.errors import Disposition, Refused
from chain.events import SigningState
from chain.genesis import Genesis
from chain.headers import Header, sign_header
from chain.keys import SecretKey
from chain.mempool import Mempool
from chain.merkle import merkle_root
from chain.transactions import VerifiedTransaction
from chain.votes import Ballot, contradicting

# Transactions that are not final are in memory, with the way back: about 2 kB each, 400 MB.
MAX_OPEN_TRANSACTIONS = 200_000
ROOM_SHARE = 32


@dataclass(frozen=True, slots=True)
class Made:
    """A signed block, what it changes, the signing state to store first, and transactions that can never enter one."""

    block: Block
    changes: Changes
    signing: SigningState
    hopeless: tuple[VerifiedTransaction, ...]


class Producer:
    """The signing side of a validator, or of a key that may become one: while it is none, no slot is its own.

    ``signing`` is None where the signing state was lost; ``is_stopped`` once the key was seen signing elsewhere.
    """

    def __init__(self, genesis: Genesis, secret: SecretKey, signing: SigningState | None) -> None:
        self.genesis = genesis
        self.secret = secret
        self.signing = signing
        self.is_stopped = False
        self._silent_since_slot: int | None = None
        self._made_id = b""

    def due_slot(self, chain: Blockchain, now_ms: int) -> int | None:
        """The slot to make a block for right now, if any.

        Only the first half of a slot is used: a block made later would reach most nodes outside its slot.
        """
        slot = self.genesis.slot_at(now_ms)
        if self.is_stopped:
            return None
        if self.signing is None:
            self._end_silence(chain, slot)
        if self.signing is None or slot <= self.signing.slot or slot <= chain.head.header.slot:
            return None
        if chain.next_votes.newest_set.leader(slot) != self.secret.public:
            return None
        if 2 * (now_ms - self.genesis.slot_start_ms(slot)) > self.genesis.slot_ms:
            return None
        return slot

    @property
    def is_silent(self) -> bool:
        """Whether this validator does not sign because its signing state was lost."""
        return self.signing is None

    def seen_elsewhere(self, header: Header) -> bool:
        """A block by our own key that we know nothing of: another machine signs with it, so this one stops.

        True where that is news.  The signing state, if there is one, then covers the foreign block, for the next
        start.
        """
        if self.is_stopped or header.proposer != self.secret.public:
            return False
        if self.signing is None:
            # Another machine's, or one that this one forgot: silence lasts until what was made after it is final.
            if self._silent_since_slot is not None:
                self._silent_since_slot = max(self._silent_since_slot, header.slot)
            return False
        # Two machines whose clocks agree sign in the same instant, each before it hears of the other.
        is_twin = header.slot == self.signing.slot and self._made_id not in (b"", header.id)
        if header.slot <= self.signing.slot and not is_twin:
            return False
        self.is_stopped = True
        self.signing = SigningState(
            slot=header.slot,
            height=max(self.signing.height, header.height),
            last_height=header.height,
            last_mhg=header.mhg,
            last_mhp=header.mhp,
        )
        return True

    def make(self, chain: Blockchain, mempool: Mempool, slot: int, *, may_be_empty: bool = True) -> Made | None:
        """Build and sign the block of ``slot`` on the head.

        None where signing it would contradict an earlier block of ours, or where it would hold nothing and
        has to.
        """
        if self.signing is None:
            return None
        head, votes = chain.head.header, chain.next_votes
        signing = SigningState(
            slot=slot,
            height=max(self.signing.height, head.height + 1),
            last_height=head.height + 1,
            last_mhg=self.signing.height,
            last_mhp=votes.mhp,
        )
        ballot = self._ballot(signing)
        if votes.contradicts(ballot) or (self.signing.slot and contradicting(self._ballot(self.signing), ballot)):
            return None
        draft = chain.ledger.draft(slot, votes.newest_set.start)
        limit = block_limit(chain.ledger.transactions_above(chain.finalized.height))
        included, hopeless = _fill(draft, mempool, limit)
        if not included and not may_be_empty:
            return None
        state_root, changes = chain.ledger.seal(draft)
        header = sign_header(
            self.secret,
            self.genesis.id,
            height=signing.last_height,
            slot=slot,
            parent=head.id,
            mhg=signing.last_mhg,
            mhp=signing.last_mhp,
            transaction_root=merkle_root([transaction.id for transaction in included]),
            state_root=state_root,
        )
        self.signing, self._made_id = signing, header.id
        return Made(join(header, included), changes, signing, tuple(hopeless))

    def _ballot(self, signed: SigningState) -> Ballot:
        return Ballot(signed.last_height, self.secret.public, signed.last_mhg, signed.last_mhp)

    def _end_silence(self, chain: Blockchain, slot: int) -> None:
        """After a lost signing state: once a block made after the return is final, nothing older can matter."""
        if self._silent_since_slot is None:
            self._silent_since_slot = slot
        if chain.finalized.slot > self._silent_since_slot:
            self.signing = SigningState(slot=chain.head.header.slot, height=chain.tree.top_height)


def block_limit(open_transactions: int) -> int:
    """How many transactions a block may hold while so many are not final.

    Each takes a share of the room that is left, so a chain that cannot become final goes on and never fills the
    memory of its nodes.
    """
    room = max(0, MAX_OPEN_TRANSACTIONS - open_transactions)
    return min(MAX_BLOCK_TRANSACTIONS, room // ROOM_SHARE)


def _fill(draft: Draft, mempool: Mempool, limit: int) -> tuple[list[VerifiedTransaction], list[VerifiedTransaction]]:
    """Try waiting transactions in order until the block is full: those that entered, those that never can."""
    included: list[VerifiedTransaction] = []
    hopeless: list[VerifiedTransaction] = []
    size = 0
    for transaction in mempool.candidates():
        if len(included) == limit or size + len(transaction.raw) > MAX_BODY_BYTES:
            break
        try:
            registry.apply(draft, transaction)
        except Refused as refusal:
            if refusal.reason.disposition is not Disposition.LATER:
                hopeless.append(transaction)
            continue
        included.append(transaction)
        size += len(transaction.raw)
    return included, hopeless
