"""When and what a validator signs.

A validator makes at most one block a slot, in its own slots only, and attests every block of others that its head moves
to.  It says nothing unless its tip is better than at its last statement: ``(mhp, height)`` only grows.  What it said
last is a :class:`~chain.protocol.events.SigningState`, durable before a statement leaves the machine.  Who lost it, or
saw its key speak elsewhere, speaks from a new one once the chain has made final that the old one is void.
Source: protocol 2.3, 2.5 and 3.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from chain.base.errors import Refused
from chain.base.keys import SecretKey
from chain.base.merkle import merkle_root
from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import TreeNode
from chain.branches.ledger import decided
from chain.consensus.attestations import Attestation, VerifiedAttestation, sign_attestation
from chain.consensus.ballots import make_ballot
from chain.consensus.headers import Header, sign_header
from chain.consensus.judgement import whole
from chain.consensus.restart import Restart, restarted
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.actions import Evidence
from chain.content.blocks import MAX_BLOCK_TRANSACTIONS, Block, join
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.protocol.events import SigningState
from chain.protocol.filling import fill
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.rescue import may_come
from chain.register import registry
from chain.register.draft import Changes, Draft

# Transactions that are not final are in memory, with the way back: about 2 kB each, 400 MB.
MAX_OPEN_TRANSACTIONS = 200_000
ROOM_SHARE = 32
# A validator that runs speaks about each block: who said nothing about so many rounds of them does not.
QUIET_ROUNDS = 2

Statement: TypeAlias = Header | Attestation


@dataclass(frozen=True, slots=True)
class Made:
    """A signed block, what it changes, the votes after it, and what it refused, not for want of time or room."""

    block: Block
    changes: Changes
    votes: Votes
    hopeless: tuple[VerifiedTransaction, ...]


class Producer:
    """The signing side of a validator, or of a key that may become one: while it is none, no slot is its own.

    ``signing`` is None where the signing state was lost; it is made anew with ``fresh_tag``, 16 random bytes, if a
    validator has to.  ``restart`` is one that this home signed, and gave its signing state up for: as long as it may
    come, nothing is said.  ``is_stopped`` once the key was seen speaking elsewhere; ``may_be_restored`` while that may
    have been here, before an older copy of this home took its place.
    """

    def __init__(
        self,
        genesis: Genesis,
        secret: SecretKey,
        signing: SigningState | None,
        fresh_tag: bytes,
        restart: Restart | None = None,
    ) -> None:
        self.genesis = genesis
        self.secret = secret
        self.signing = signing
        self.fresh_tag = fresh_tag
        self.restart = restart
        self._restart_signers = frozenset[bytes]() if restart is None else restart.signers(genesis.id)
        self.is_stopped = False
        self.may_be_restored = False
        # When it was first asked whether another machine speaks with this key, and the last block from before that.
        self._began_slot: int | None = None
        self._began_height: int | None = None
        self._made_id = b""

    @property
    def is_silent(self) -> bool:
        """Whether this validator says nothing because its signing state was lost."""
        return self.signing is None

    def due_slot(self, parent: TreeNode, now_ms: int) -> int | None:
        """The slot to make a block on ``parent`` for right now, if any.

        Only the first half of a slot is used: a block made later would reach most nodes outside its slot.
        """
        slot, electorate = self.genesis.slot_at(now_ms), parent.votes.electorate
        signed_slot = 0 if self.signing is None else self.signing.slot
        if self.is_stopped or slot <= max(signed_slot, parent.header.slot):
            return None
        if electorate.leader(slot) != self.secret.public or self.secret.public in electorate.barred:
            return None
        if 2 * (now_ms - self.genesis.slot_start_ms(slot)) > self.genesis.slot_ms:
            return None
        return slot

    def said(self, statement: Statement) -> None:
        """Note what was said with this key; it is to be stored before the statement leaves."""
        if self.signing is not None:
            slot = self.signing.slot if statement.slot is None else statement.slot
            self.signing = replace(
                self.signing,
                slot=slot,
                mhg=max(self.signing.mhg, statement.height),
                last_mhp=statement.mhp,
                last_height=statement.height,
                last_id=statement.id,
            )

    # ----------------------------------------------------------------------------------------- lost signing state

    def needs_tag(self, chain: Blockchain) -> bool:
        """Whether the chain, as of its head, has yet to record that this validator speaks with :attr:`fresh_tag`.

        A restart that this home signed comes first.
        """
        key = self.secret.public
        return (
            self.signing is None
            and not self.is_stopped
            and not self.awaits_restart(chain)
            and chain.ledger.validators.seat(key) is not None
            and chain.electorate.tag(key).tag != self.fresh_tag
        )

    def is_alone(self, chain: Blockchain, slot: int | None) -> bool:
        """Whether it turned out that nobody else speaks with this key, so that what was lost is known to be all.

        A key that said nothing about the blocks of two rounds that were made since this was asked first is on no other
        machine that runs, and this home was restored: its signing state is lost like any other.  What it said about
        earlier ones may have been said here.  ``slot`` is the latest that it can be now; where it is None, what time it
        is is not known, and all begins anew.
        """
        if not self.may_be_restored or slot is None:
            self._began_slot = self._began_height = None
            return False
        began_height, votes = self._last_before(chain, slot), chain.head.votes
        if began_height is None:
            return False
        self.may_be_restored = votes.spoken_up_to(self.secret.public) <= began_height
        if not self.may_be_restored or votes.height - began_height <= QUIET_ROUNDS * len(votes.electorate.leaders):
            return False
        self.is_stopped = self.may_be_restored = False
        self.signing = self.restart = None
        return True

    def _last_before(self, chain: Blockchain, slot: int) -> int | None:
        """The height of the last block of the head's branch that may be older than the first look, None if all are.

        Where a newer one is final before any was seen here, that counts as older, too: which of those below it are is
        not known any more, and whoever spoke about them, and runs, speaks again.
        """
        if self._began_slot is None:
            self._began_slot = slot
        header, root = chain.head.header, chain.finalized
        if header.slot <= self._began_slot:
            return None
        if self._began_height is None or root.slot <= self._began_slot:
            while header.slot > self._began_slot and header.height > root.height:
                header = chain.tree[header.parent].header
            self._began_height = header.height
        return self._began_height

    def resume(self, chain: Blockchain) -> bool:
        """Speak again, from a new signing state, once the block that renewed the tag is final on the head's branch.

        Whether it is so now.  What was said before the loss binds no more, but where the branch knows of it.
        """
        votes, key = chain.head.votes, self.secret.public
        tag = votes.electorate.tag(key)
        if self.is_stopped or tag.height > votes.mhpc or tag.tag == NO_TAG:
            return False
        ours = (self.fresh_tag,) if self.restart is None else (self.fresh_tag, self.restart.tag(key))
        if tag.tag not in ours or (self.signing is not None and self.signing.tag == tag.tag):
            return False
        self.signing = SigningState(mhg=max(votes.base, tag.height, votes.spoken_up_to(key)), tag=tag.tag)
        return True

    def awaits_restart(self, chain: Blockchain) -> bool:
        """Whether the restart that this home signed may still come: until then nothing is said."""
        return self.restart is not None and may_come(self.restart, chain)

    def due_restart(self, chain: Blockchain) -> Restart | None:
        """The restart that is waited for, where enough signed it and its block is known: then it is ours to make."""
        restart = self.restart
        if restart is None or restart.tip not in chain.tree or not self.awaits_restart(chain):
            return None
        is_agreed = chain.tree[restart.tip].votes.electorate.is_enough(self._restart_signers)
        return restart if is_agreed else None

    def is_overruled(self, chain: Blockchain) -> bool:
        """Whether the chain made final that this key speaks from another signing state than ours.

        Where that was a restart, ours is lost like any other.  Otherwise another machine did it, or this home before an
        older copy took its place, and we stop.  A head that is behind what we said, as after a move to another machine,
        tells nothing, nor does a branch on which the restart that we speak from may still come.
        """
        votes, signing = chain.head.votes, self.signing
        tag = votes.electorate.tag(self.secret.public)
        if self.is_stopped or signing is None or votes.height < signing.mhg or self.awaits_restart(chain):
            return False
        if tag.tag == signing.tag or tag.height > votes.mhpc:
            return False
        self.signing = None
        self.is_stopped = tag.height != votes.base
        self.may_be_restored = self.is_stopped and signing.tag != self.fresh_tag
        return True

    def seen_elsewhere(self, statement: Statement) -> bool:
        """A statement by our own key that we know nothing of: another machine speaks with it, or this one forgot.

        True where that is news.  Nothing more is said from here until :meth:`is_alone`, or the next start: what else
        was said, nobody knows.
        """
        signing, restart = self.signing, self.restart
        if self.is_stopped or statement.speaker != self.secret.public:
            return False
        if signing is not None:
            self.may_be_restored = is_forgotten(statement, signing) and signing.tag != self.fresh_tag
            self.is_stopped = is_forgotten(statement, signing) or self._is_another_block(statement, signing)
            return self.is_stopped
        if restart is None or statement.tag != restart.tag(self.secret.public):
            return False
        self.restart = None  # it came, and we spoke, before this home was restored
        return True

    # -------------------------------------------------------------------------------------------------- speaking

    def _is_another_block(self, statement: Statement, signing: SigningState) -> bool:
        """Whether it is a block of a slot that we have not signed, or another one of the slot that we signed last."""
        slot = statement.slot
        if slot is None or slot < signing.slot or statement.tag != signing.tag:
            return False
        return slot > signing.slot or self._made_id not in (b"", statement.id)

    def attest(self, chain: Blockchain) -> VerifiedAttestation | None:
        """Stand behind the head, if it is another's and this validator may; :attr:`signing` is to be stored first."""
        header, votes, signing, key = chain.head.header, chain.head.votes, self.signing, self.secret.public
        if self.is_stopped or signing is None or header.proposer == key:
            return None
        if signing.mhg >= header.height or (header.mhp, header.height) <= signing.last:
            return None
        row = votes.row(header.height)
        if row is None or key not in row.electorate.speakers or not self._may_speak(votes, signing):
            return None
        attestation = sign_attestation(
            self.secret,
            self.genesis.id,
            tag=signing.tag,
            tip=header.id,
            height=header.height,
            mhg=signing.mhg,
            mhp=header.mhp,
        )
        self.said(attestation)
        return attestation

    def _may_speak(self, votes: Votes, signing: SigningState) -> bool:
        tag = votes.electorate.tag(self.secret.public)
        return tag.tag == signing.tag and tag.height <= votes.mhpc

    def make(
        self,
        chain: Blockchain,
        mempool: Mempool,
        heard: Heard,
        slot: int,
        *,
        accusations: Sequence[Evidence] = (),
        most: int = MAX_BLOCK_TRANSACTIONS,
        may_be_empty: bool = True,
    ) -> Made | None:
        """Build and sign the block of ``slot`` on the head.

        It has the attestations that were heard, ``accusations``, and at most ``most`` transactions.  None where its tip
        would not be better than at our last statement, or where it would hold nothing and has to.  :attr:`signing` is
        to be stored before the block leaves.  ``mempool`` is told whose transactions the block refuses.
        """
        signing, key = self.signing, self.secret.public
        head, votes = chain.head.header, chain.head.votes
        restart = self.due_restart(chain)
        votes = restarted(votes, restart, head.id, self.genesis.id)
        if restart is not None and (signing is None or signing.tag != restart.tag(key)):
            signing = SigningState(mhg=head.height, tag=restart.tag(key))
        if signing is None or not self._may_speak(votes, signing):
            return None
        count = votes.open(head.height + 1)
        carried = heard.choose(count, key)  # none after a restart, which makes final all that they can be about
        mhp = count.carried_all()
        if (mhp, head.height + 1) <= signing.last:
            return None
        try:
            count.speak(key, signing.mhg)
        except Refused:  # this branch holds what we know nothing of: a restored backup
            return None
        draft = chain.ledger.draft(slot, votes.electorate)
        limit = min(most, block_limit(chain.ledger.transactions_above(chain.finalized.height)))
        included, refused, hopeless = fill(draft, self._candidates(draft, mempool, accusations), limit)
        mempool.hold_up(refused, draft.height)
        if not included and not may_be_empty:
            return None
        ballot = make_ballot(carried, decided(draft, votes.electorate), restart)
        state_root, changes = chain.ledger.seal(draft)
        header = sign_header(
            self.secret,
            self.genesis.id,
            height=head.height + 1,
            slot=slot,
            parent=head.id,
            tag=signing.tag,
            mhg=signing.mhg,
            mhp=mhp,
            votes_root=ballot.root,
            transaction_root=merkle_root([transaction.id for transaction in included]),
            state_root=state_root,
        )
        self.signing = signing
        self.said(header)
        self._made_id = header.id
        after = count.close(header.id, ballot.decision)
        return Made(join(header, ballot, included), changes, after, tuple(hopeless))

    def _candidates(
        self, draft: Draft, mempool: Mempool, accusations: Sequence[Evidence]
    ) -> Iterator[VerifiedTransaction]:
        """What the block may hold: what waits of its maker's key, what the maker accuses others of, and all the rest.

        Each is asked for once the one before it was tried: what is signed here takes the nonce that is next then.  It
        is good for this block alone, so it never waits anywhere, and nothing signed with this key waits behind it.
        An accusation that the block would refuse is left out, since nothing of a key is tried after what was refused.
        """
        key = self.secret
        waiting = mempool.of(key.public)
        yield from waiting
        for accusation in accusations:
            account = draft.account(key.public)
            nonce = 0 if account is None else account.nonce
            if nonce not in {item.nonce for item in waiting} and _counts(draft, accusation):
                yield sign_transaction(key, self.genesis.id, nonce, draft.height, accusation)
        yield from (item for item in mempool.candidates() if item.actor != key.public)


def _counts(draft: Draft, accusation: Evidence) -> bool:
    """Whether this evidence would jail somebody."""
    try:
        registry.check_accusation(draft, accusation)
    except Refused:
        return False
    return True


def is_forgotten(statement: Statement, signing: SigningState) -> bool:
    """Whether this signing state should know of a statement of its key, and does not."""
    if statement.tag != signing.tag:
        return False
    rank = statement.mhp, statement.height
    return rank > signing.last or (rank == signing.last and signing.last_id not in (b"", statement.id))


def said_by(key: bytes, chain: Blockchain) -> Iterator[Statement]:
    """What the blocks above the chain's root hold of a validator: its headers, and the attestations that they carry."""
    for header in chain.tree.headers():
        if header.proposer == key:
            yield header
        node = chain.tree[header.id]
        for carried in node.block.ballot.attestations if node.block is not None else ():
            if carried.speaker == key:
                yield whole(carried, node.votes, chain.genesis.id)


def block_limit(open_transactions: int) -> int:
    """How many transactions a block may hold while so many are not final.

    Each takes a share of the room that is left, so a chain that cannot become final goes on and never fills the
    memory of its nodes.
    """
    room = max(0, MAX_OPEN_TRANSACTIONS - open_transactions)
    return min(MAX_BLOCK_TRANSACTIONS, room // ROOM_SHARE)
