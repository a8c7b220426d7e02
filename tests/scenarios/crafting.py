"""What no honest node makes: blocks with any field, signed by any key, handed to whom a story wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from chain.base.errors import Reason, Refused
from chain.base.merkle import merkle_root
from chain.branches.blocktree import genesis_header
from chain.branches.ledger import Ledger, decided
from chain.consensus.attestations import Attestation, VerifiedAttestation, sign_attestation
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import NOTHING_DECIDED
from chain.consensus.headers import sign_header
from chain.consensus.judgement import judge
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.actions import Enrol, Rate
from chain.content.blocks import Block, encode_block, heading_of
from chain.content.transactions import VerifiedTransaction
from chain.protocol.events import Request
from chain.protocol.messages import GetBlocks, GetTransactions, RawItems
from chain.register import registry
from scripts.simulation.wire import announcement_of, batched
from tests.support.world import Actor, Host, World, secret


def replay(world: World, blocks: Sequence[Block]) -> Ledger:
    """Execute blocks from the genesis, as somebody who trusts nobody."""
    ledger = Ledger(world.genesis)
    for block, votes in zip(blocks, votings(world, blocks), strict=False):
        ledger.extend(block, votes.electorate)
    return ledger


def votings(world: World, blocks: Sequence[Block]) -> list[Votes]:
    """The votes before each of some blocks from the genesis, and after the last."""
    every = [Votes.genesis(world.genesis.validators, world.genesis.batch)]
    for block in blocks:
        every.append(judge(block.header, block.ballot, every[-1], world.genesis.id))
    return every


def branch_of(host: Host, tip_id: bytes | None = None) -> list[Block]:
    """The whole branch, from height 1, that ends in a stored block; by default in the head."""
    return host.disk.branch(host.head_id if tip_id is None else tip_id, 1)


def craft(
    world: World,
    branch: Sequence[Block],
    slot: int,
    transactions: Sequence[VerifiedTransaction] = (),
    carrying: Sequence[Attestation] = (),
    **changes: Any,
) -> Block:
    """The block that the leader of ``slot`` would make after ``branch``; ``changes`` replace header fields.

    It owns up to all that its signer said.
    """
    signer = secret(slot % len(world.genesis.validators) + 1)
    votes = votings(world, branch)[-1]
    count, decision, state_root = votes.open(votes.height + 1), NOTHING_DECIDED, bytes(32)
    for each in carrying:
        count.take(each.speaker, each.height, each.mhg)
    with suppress(Refused):  # after an invalid block there is no right state
        ledger = replay(world, branch)
        draft = ledger.draft(slot, votes.electorate)
        for transaction in transactions:
            registry.apply(draft, transaction)
        decision = decided(draft, votes.electorate)
        state_root, _ = ledger.seal(draft)
    ballot = make_ballot([each.carried for each in carrying], decision)
    genesis = genesis_header(world.genesis, Ledger(world.genesis).state_root)
    fields: dict[str, Any] = {
        "height": len(branch) + 1,
        "slot": slot,
        "parent": branch[-1].id if branch else genesis.id,
        "mhg": max(spoken_up_to(branch, signer.public), said_by(world, signer.public)),
        "mhp": count.carried_all(),
        "tag": votes.electorate.tag(signer.public).tag,
        "votes_root": ballot.root,
        "transaction_root": merkle_root([transaction.id for transaction in transactions]),
        "state_root": state_root,
    }
    fields |= {name: value for name, value in changes.items() if name != "secret"}
    header = sign_header(changes.get("secret", signer), world.genesis.id, **fields)
    return Block(header, ballot, tuple(transactions))


def attest(world: World, block: Block, speaker: int, **changes: Any) -> VerifiedAttestation:
    """What validator ``speaker`` would say of a block next; ``changes`` replace fields."""
    header, signer = block.header, secret(speaker + 1)
    fields: dict[str, Any] = {"tag": NO_TAG, "tip": header.id, "height": header.height, "mhp": header.mhp}
    fields["mhg"] = min(header.height - 1, said_by(world, signer.public))
    return sign_attestation(signer, world.genesis.id, **{**fields, **changes})


def spoken_up_to(branch: Sequence[Block], key: bytes) -> int:
    """The largest height that a key spoke at on a branch."""
    made = (block.header.height for block in branch if block.header.proposer == key)
    said = (each.height for block in branch for each in block.ballot.attestations if each.speaker == key)
    return max((*made, *said), default=0)


def said_by(world: World, key: bytes) -> int:
    """The largest height that a key spoke at from its home, whether a block knows of it or not."""
    signing = [host.disk.signing for host in world.hosts if host.key is not None and host.key.public == key]
    return max((state.mhg for state in signing if state is not None), default=0)


def reasons_of(host: Host) -> list[Reason]:
    """Why this node penalised its peers."""
    return [refusal.reason for _, refusal in host.penalties]


def announce(host: Host, block: Block, peer: str = "stranger") -> None:
    """A block arrives by gossip."""
    host.hear(peer, announcement_of(block))


def gossip(host: Host, transactions: Sequence[VerifiedTransaction], peer: str = "stranger") -> None:
    """Transactions arrive by gossip."""
    for batch in batched(transactions):
        host.hear(peer, batch)


def next_slot(world: World, leader: int, after: int) -> int:
    """The first slot after ``after`` that belongs to validator ``leader``."""
    count = len(world.genesis.validators)
    return next(slot for slot in range(after + 1, after + count + 1) if slot % count == leader)


def slot_now(world: World) -> int:
    """The slot that the world's clock is in."""
    return world.genesis.slot_at(world.now_ms)


class Traffic:
    """Members who enrol and then rate one another, the same in every run."""

    def __init__(self, world: World, members: int = 8) -> None:
        self.world = world
        self.actors = [Actor(world.genesis, 1_000 + number) for number in range(members)]
        self._turn = 0

    def enrol(self, host: int = 0) -> None:
        """Everybody enrols through one node."""
        self.world.submit(host, [actor.sign(Enrol()) for actor in self.actors])

    def next(self) -> VerifiedTransaction:
        """One more rating."""
        count = len(self.actors)
        actor, subject = self.actors[self._turn % count], self.actors[(self._turn * 3 + 1) % count]
        if subject is actor:
            subject = self.actors[(self._turn + 1) % count]
        self._turn += 1
        return actor.sign(Rate(subject.key, 1, self._turn % 21 - 10))

    def run(self, slots: int, *hosts: int) -> None:
        """Let slots pass; in each of them one rating reaches each of ``hosts``, in turn."""
        for _ in range(slots):
            for host in hosts:
                if self.world.hosts[host].is_up:
                    self.world.submit(host, [self.next()])
            self.world.run(1)


def chain_reply(branch: Sequence[Block]) -> Callable[[Request], bytes | None]:
    """How a stranger answers that has this branch, from height 1 on, and nothing else."""

    def reply(request: Request) -> bytes | None:
        if isinstance(request, GetTransactions):
            return None
        raws = map(encode_block, branch[request.from_height - 1 :][: request.count])
        return RawItems(tuple(raws if isinstance(request, GetBlocks) else map(heading_of, raws))).encode()

    return reply
