"""What a node says on the chain by itself: who contradicted itself, and that it lost what it signed last."""

from __future__ import annotations

from chain.base.errors import Refused
from chain.base.newest import Newest
from chain.branches.blockchain import Blockchain
from chain.content.actions import Evidence, Lost
from chain.content.transactions import sign_transaction
from chain.protocol.events import Equivocation, GossipTransactions
from chain.protocol.mempool import Mempool
from chain.protocol.outbox import Outbox
from chain.protocol.production import Producer
from chain.protocol.trial import set_void_aside, take_in
from chain.protocol.witness import MAX_SIGNERS, VerifiedStatement, Witness
from chain.register.offences import check_open, last_height

# So long a lost signing state, once told, waits for a block; then it is told anew, if there is still a need.
OWN_EXPIRY_BLOCKS = 1_000


class Testimony:
    """Watches what validators say.  Without a ``producer``, which signs, nothing is brought on the chain."""

    def __init__(
        self, chain: Blockchain, mempool: Mempool, witness: Witness, producer: Producer | None, out: Outbox
    ) -> None:
        self._chain = chain
        self._mempool = mempool
        self._witness = witness
        self._producer = producer
        self._out = out
        self._lost: bytes = b""
        self._accusations: Newest[bytes, Evidence] = Newest(MAX_SIGNERS)
        for header in chain.tree.headers():
            if rival := witness.note(header):
                self._accuse(rival, header)

    def watch(self, statement: VerifiedStatement) -> None:
        """See who says what, before it is judged: also what is refused is evidence.

        A key that speaks on another machine too must stop here, before the two contradict each other.
        """
        rival = self._witness.note(statement)
        if rival is not None:
            self._out.put(Equivocation(rival, statement))
            self._accuse(rival, statement)
        if self._producer is not None and self._producer.seen_elsewhere(statement):
            self._lose_signing(self._producer)

    def accusations(self) -> list[Evidence]:
        """What this validator has to bring on the chain with its next block: offences that the head has not punished.

        Evidence travels in the blocks of those who saw it, never by itself.  As a transaction that waits it would hold
        a nonce of the validator's key, and be void where another was first: what its operator signs would wait behind.
        """
        return [accusation for accusation in self._accusations.values() if self._use(accusation)[:2] == (False, 0)]

    def renew(self, producer: Producer, slot: int | None) -> None:
        """Where the signing state was lost, or another machine renewed it, do what the chain makes of it.

        ``slot`` is the latest that it can be now, None where what time it is is not known.
        """
        if producer.is_alone(self._chain, slot):
            self._out.note("signing_lost", "nobody else speaks with this key: this home was restored, and starts anew")
        if producer.resume(self._chain):
            self._out.signing = producer.signing
        if producer.is_overruled(self._chain):
            self._lose_signing(producer)
        if producer.needs_tag(self._chain):
            self._report_loss(producer)

    def clear(self) -> None:
        """Drop what waits of a silent validator's key and can never enter a block: its loss would wait behind it.

        Who makes blocks drops it doing so; but who has lost its signing state makes none.
        """
        if self._producer is None or not self._producer.is_silent:
            return
        set_void_aside(self._chain, self._mempool, self._mempool.of(self._producer.secret.public))

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
            "more. Make sure that no other machine runs with the key"
            + (
                ": where none speaks for two rounds of blocks, this one starts anew"
                if producer.may_be_restored
                else ", then start this one again"
            ),
        )

    def _report_loss(self, producer: Producer) -> None:
        """Say that the signing state was lost; anew where the chain meanwhile knows of another, at an earlier start."""
        key = producer.secret.public
        loss = Lost(self._chain.ledger.validators.tag(key), producer.fresh_tag)
        waiting = self._mempool.get(self._lost)
        if waiting is not None and waiting.action == loss and self._is_on_its_way(self._lost):
            return
        for stale in [item for item in self._mempool.of(key) if isinstance(item.action, Lost)]:
            self._mempool.remove(stale.id)
        self._lost = self._send(producer, loss)

    def _accuse(self, rival: VerifiedStatement, statement: VerifiedStatement) -> None:
        """Remember the evidence against a validator: that which is of use first.

        Whoever contradicts itself at a height that is far away has nobody look away until the chain gets there.  What
        it contradicts lower down, where it may be forgiven, takes the place of nothing that a block punished:
        that may be abandoned.
        """
        culprit = statement.speaker
        if self._producer is None or culprit == self._producer.secret.public:
            return
        first, second = sorted((rival, statement), key=lambda item: item.id)
        known, news = self._accusations.get(culprit), Evidence(first.raw, second.raw)
        if known is None or self._use(news) <= self._use(known):
            self._accusations[culprit] = news

    def _use(self, accusation: Evidence) -> tuple[bool, int, int]:
        """Whether this is void as of the head, in how many blocks the offence is over, its height; the least first."""
        draft = self._chain.ledger.blank_draft(self._chain.head.header.slot)
        height = last_height(accusation)
        blocks = max(0, height - draft.height)
        try:
            check_open(draft, accusation)
        except Refused:
            return True, blocks, -height
        return False, blocks, -height

    def _is_on_its_way(self, transaction_id: bytes) -> bool:
        """Whether a transaction of our own waits for a block, and not behind a gap, where it would wait for ever."""
        waiting = self._mempool.get(transaction_id)
        return waiting is not None and waiting.nonce < self._mempool.next_free(waiting.actor)

    def _send(self, producer: Producer, loss: Lost) -> bytes:
        """Sign and send that the signing state was lost: the transaction's id, or nothing where it is refused."""
        key, genesis = producer.secret, self._chain.genesis
        expiry_height = self._chain.head.header.height + 1 + min(OWN_EXPIRY_BLOCKS, genesis.max_expiry_blocks)
        transaction = sign_transaction(key, genesis.id, self._mempool.next_free(key.public), expiry_height, loss)
        if take_in(self._chain, self._mempool, (transaction,)) != [None]:
            return b""
        self._mempool.claim((transaction,))
        self._out.put(GossipTransactions((transaction,)))
        return transaction.id
