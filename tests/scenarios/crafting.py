"""What no honest node makes: blocks with any field, signed by any key, handed to whom a story wants."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from chain import registry
from chain.blocks import Block, assemble
from chain.blocktree import genesis_header
from chain.errors import Reason, Refused
from chain.headers import sign_header
from chain.ledger import Ledger
from chain.merkle import merkle_root
from chain.transactions import Enrol, Rate, VerifiedTransaction
from chain.validators import with_announced
from chain.votes import Votes
from scripts.simulation.wire import announcement_of, batched
from tests.support.world import Actor, Host, World, secret


def replay(world: World, blocks: Sequence[Block]) -> Ledger:
    """Execute blocks from the genesis, as somebody who trusts nobody."""
    ledger, votes = Ledger(world.genesis), Votes.genesis(world.genesis.validators, world.genesis.batch)
    for block in blocks:
        votes = with_announced(votes, ledger.validators)
        ledger.extend(block, votes.newest_set.start)
        votes = votes.apply(block.header)
    return ledger


def votes_after(world: World, blocks: Sequence[Block]) -> Votes:
    """Count the votes of blocks from the genesis."""
    votes = Votes.genesis(world.genesis.validators, world.genesis.batch)
    for block in blocks:
        votes = votes.apply(block.header)
    return votes


def branch_of(host: Host, tip_id: bytes | None = None) -> list[Block]:
    """The whole branch, from height 1, that ends in a stored block; by default in the head."""
    return host.disk.branch(host.head_id if tip_id is None else tip_id, 1)


def craft(
    world: World,
    branch: Sequence[Block],
    slot: int,
    transactions: Sequence[VerifiedTransaction] = (),
    **changes: Any,
) -> Block:
    """The block that the leader of ``slot`` would make after ``branch``; ``changes`` replace header fields."""
    signer = secret(slot % len(world.genesis.validators) + 1)
    votes, state_root = votes_after(world, branch), bytes(32)
    with suppress(Refused):  # after an invalid block there is no right state
        ledger = replay(world, branch)
        draft = ledger.draft(slot, votes.newest_set.start)
        for transaction in transactions:
            registry.apply(draft, transaction)
        state_root, _ = ledger.seal(draft)
    genesis = genesis_header(world.genesis, Ledger(world.genesis).state_root)
    fields: dict[str, Any] = {
        "height": len(branch) + 1,
        "slot": slot,
        "parent": branch[-1].id if branch else genesis.id,
        "mhg": max([block.header.height for block in branch if block.header.proposer == signer.public], default=0),
        "mhp": votes.mhp,
        "transaction_root": merkle_root([transaction.id for transaction in transactions]),
        "state_root": state_root,
    }
    fields.update({name: value for name, value in changes.items() if name != "secret"})
    header = sign_header(changes.get("secret", signer), world.genesis.id, **fields)
    return assemble(header, transactions) if "transaction_root" not in changes else Block(header, tuple(transactions))


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
