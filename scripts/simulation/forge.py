"""Blocks and attestations that no honest validator makes: any parent, any vote, any body, by the keys of a villain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from chain.base.errors import Refused
from chain.base.keys import SecretKey
from chain.base.merkle import merkle_root
from chain.branches.ledger import decided
from chain.consensus.attestations import Carried, VerifiedAttestation, decode_attestation, sign_attestation
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import NOTHING_DECIDED, Decision, Electorate
from chain.consensus.headers import Header, sign_header
from chain.consensus.restart import Restart, restarted
from chain.consensus.votes import Votes
from chain.content.actions import Enrol
from chain.content.blocks import Block, assemble
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.protocol.heard import Heard
from chain.register import registry
from scripts.simulation.node import SimulatedNode
from scripts.simulation.wire import announcement_of, attested
from scripts.simulation.world import World, secret


class Cabal:
    """What all villains of a world share: what they forged, and where its branches stand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.blocks: dict[bytes, Block] = {}
        self.votes: dict[bytes, Votes] = {}
        self.transactions: dict[bytes, VerifiedTransaction] = {}
        self._strangers = 0

    def forge(
        self,
        key: SecretKey,
        parent: Header,
        votes: Votes,
        slot: int,
        transactions: Sequence[VerifiedTransaction] = (),
        *,
        mhg: int | None = None,
        mhp: int | None = None,
        height: int | None = None,
        parent_id: bytes | None = None,
        state_root: bytes | None = None,
        decision: Decision = NOTHING_DECIDED,
        heard: Heard | None = None,
        carried: Sequence[Carried] = (),
        restart: Restart | None = None,
        tag: bytes | None = None,
        chain_id: bytes | None = None,
    ) -> Block:
        """The block of ``slot`` on ``parent``, as an honest validator would make it but for what is given.

        ``votes`` are those after the parent.  ``mhg`` is by default what this branch knows of the signer; the
        attestations of ``heard`` are carried as far as they can be, and those ``carried`` in any case.
        """
        with suppress(Refused):  # where nobody agreed to it
            votes = restarted(votes, restart, parent.id, self.world.genesis.id)
        count = votes.open(votes.height + 1)
        chosen = [] if heard is None else heard.choose(count, key.public)
        for each in carried:
            with suppress(Refused):
                count.take(each.speaker, each.height, each.mhg)
        ballot = make_ballot((*chosen, *carried), decision, restart)
        carried_mhp = count.carried_all()
        header = sign_header(
            key,
            self.world.genesis.id if chain_id is None else chain_id,
            height=parent.height + 1 if height is None else height,
            slot=slot,
            parent=parent.id if parent_id is None else parent_id,
            tag=votes.electorate.tag(key.public).tag if tag is None else tag,
            mhg=votes.spoken_up_to(key.public) if mhg is None else mhg,
            mhp=carried_mhp if mhp is None else mhp,
            votes_root=ballot.root,
            transaction_root=merkle_root([transaction.id for transaction in transactions]),
            state_root=parent.state_root if state_root is None else state_root,
        )
        block = assemble(header, ballot, transactions)
        self.blocks[block.id] = block
        self.transactions.update((transaction.id, transaction) for transaction in transactions)
        if header.parent == parent.id and header.height == parent.height + 1:
            with suppress(Refused):  # what is no valid block has no votes after it
                count.speak(key.public, header.mhg)
                self.votes[block.id] = count.close(header.id, decision)
        return block

    def attest(
        self, key: SecretKey, tip: Header, votes: Votes, mhg: int | None = None, *, name: bytes | None = None
    ) -> VerifiedAttestation:
        """An attestation of ``tip``, after which ``votes`` are; ``mhg`` is by default what that branch knows.

        With a ``name`` it says that this one is its speaker, who never signed it.
        """
        speaker = key.public if name is None else name
        known = votes.spoken_up_to(speaker)
        attestation = sign_attestation(
            key,
            self.world.genesis.id,
            tag=votes.electorate.tag(speaker).tag,
            tip=tip.id,
            height=tip.height,
            mhg=min(known if mhg is None else mhg, tip.height - 1),
            mhp=tip.mhp,
        )
        return attestation if name is None else in_the_name_of(name, attestation)

    def stranger_enrols(self, node: SimulatedNode, slot: int) -> VerifiedTransaction:
        """A transaction that nobody saw before, valid in a block of ``slot`` on the head of a node."""
        self._strangers += 1
        chain = node.engine.chain
        version = chain.ledger.draft(slot, chain.electorate).policy.version
        action = Enrol(policy_version=version)
        return sign_transaction(secret(50_000 + self._strangers), self.world.genesis.id, 0, 50_000, action)


def tell(sender: SimulatedNode, block: Block, receivers: Iterable[SimulatedNode]) -> None:
    """Announce a block to some."""
    for receiver in receivers:
        sender.world.network.send(sender.name, receiver, announcement_of(block))


def whisper(sender: SimulatedNode, attestation: VerifiedAttestation, receivers: Iterable[SimulatedNode]) -> None:
    """Tell some of an attestation."""
    for receiver in receivers:
        sender.world.network.send(sender.name, receiver, attested((attestation,)))


def in_the_name_of(speaker: bytes, attestation: VerifiedAttestation) -> VerifiedAttestation:
    """The same, said to be another's, whose signature nobody else can make."""
    return VerifiedAttestation(decode_attestation(attestation.raw.replace(attestation.speaker, speaker)))


def outcome_of(
    node: SimulatedNode, slot: int, transactions: Sequence[VerifiedTransaction], electorate: Electorate | None = None
) -> tuple[bytes, Decision]:
    """The state root after, and the decision of, a block of ``slot`` with these transactions on the head of a node.

    By default its ``electorate`` is the one in force there.
    """
    chain = node.engine.chain
    ledger = chain.ledger
    electorate = chain.electorate if electorate is None else electorate
    draft = ledger.draft(slot, electorate)
    for transaction in transactions:
        registry.apply(draft, transaction)
    decision = decided(draft, electorate)
    root, changes = ledger.seal(draft)
    ledger.discard(changes)
    return root, decision
