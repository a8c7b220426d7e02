"""Villains that sign what nobody may: attestations and blocks that are wrong in one way each.

Nothing of it counts while the rules are in force, and nothing is predicted of more of them than are tolerated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from chain.base.errors import Refused
from chain.consensus.attestations import Carried, VerifiedAttestation, sign_attestation
from chain.consensus.electorate import Decision
from chain.consensus.headers import Header
from chain.consensus.restart import SALT_BYTES, Restart, restarted
from chain.consensus.statements import TAG_BYTES
from chain.consensus.votes import CARRIED_PER_SPEAKER, Votes
from chain.content.blocks import Block
from scripts.simulation.byzantine import SignsTwice, best_of, halves
from scripts.simulation.forge import in_the_name_of, outcome_of, whisper
from scripts.simulation.node import SimulatedNode
from scripts.simulation.villain import Attests, Strategy, Villain
from scripts.simulation.world import secret

# Attestations of one turn, and how far ahead the early ones are.
FLOOD = 20
FAR = 300
# One of so many blocks of an impostor is a restart.
RESTARTS_IN = 3
FOREIGN_CHAIN = bytes(range(32))
FIRST_FOREIGNER = 80_000


class Impersonates(SignsTwice):
    """Parts the honest nodes, and stands behind the head of each half in the name of everybody else.

    Its blocks carry what it made up, and its restarts are signed by those whom they name as little.
    """

    def __init__(self) -> None:
        self._heights: dict[tuple[str, int], int] = {}

    def attest(self, villain: Villain) -> None:
        for half in halves(villain):
            for node in [node for node in half if node.is_up]:
                for attestation in self._forged(villain, half, node):
                    whisper(villain, attestation, half)

    def lead(self, villain: Villain, slot: int) -> None:
        turn = slot // len(villain.world.secrets)
        for number, half in enumerate(halves(villain)):
            up, best = best_of(half, slot)
            if best is None:
                continue
            mhg = self._heights.get((villain.name, number), 0)
            if turn % RESTARTS_IN == RESTARTS_IN - 1:
                block = forge_restart(villain, slot, best, mhg, is_signed_by_all=turn // RESTARTS_IN % 2 == 0)
            else:
                block = self._carrying(villain, slot, half, best, mhg)
            self._heights[villain.name, number] = block.header.height
            villain.tell(block, up)

    def _carrying(self, villain: Villain, slot: int, half: list[SimulatedNode], best: SimulatedNode, mhg: int) -> Block:
        head, (root, decision) = best.engine.chain.head, outcome_of(best, slot, ())
        carried = [each.carried for each in self._forged(villain, half, best)]
        return villain.cabal.forge(
            villain.secret, head.header, head.votes, slot, mhg=mhg, state_root=root, decision=decision, carried=carried
        )

    @staticmethod
    def _forged(villain: Villain, half: list[SimulatedNode], node: SimulatedNode) -> list[VerifiedAttestation]:
        """What all who are not of a half would say about the head of a node, had they said it."""
        head = node.engine.chain.head
        row = head.votes.row(head.header.height)
        mine = {each.key.public for each in half if each.key is not None}
        mine.add(villain.secret.public)
        others = sorted(row.electorate.speakers - mine - row.said.keys()) if row is not None else []
        return [villain.cabal.attest(villain.secret, head.header, head.votes, name=key) for key in others]


class Misspeaks(Attests):
    """Makes no block, and beside what it should attest what nobody may: each slot something else.

    It contradicts itself at times, and goes on when it is jailed.
    """

    def attest(self, villain: Villain) -> None:
        super().attest(villain)
        header, votes = villain.head
        if header.height:
            make = MISSTATEMENTS[villain.world.slot % len(MISSTATEMENTS)]
            for attestation in make(villain, header, votes):
                whisper(villain, attestation, villain.world.nodes)


Misstatement: TypeAlias = Callable[[Villain, Header, Votes], Iterator[VerifiedAttestation]]


def _attested(villain: Villain, header: Header, votes: Votes, **changed: Any) -> VerifiedAttestation:
    """An attestation of a header by a villain, right but for what is given."""
    fields = {
        "tag": votes.electorate.tag(villain.secret.public).tag,
        "tip": header.id,
        "height": header.height,
        "mhg": min(votes.spoken_up_to(villain.secret.public), header.height - 1),
        "mhp": header.mhp,
    }
    chain_id = changed.pop("chain_id", villain.world.genesis.id)
    return sign_attestation(villain.secret, chain_id, **{**fields, **changed})


def _with_another_tag(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    yield _attested(villain, header, votes, tag=bytes([villain.world.slot % 256]) * TAG_BYTES)


def _for_another_chain(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    yield _attested(villain, header, votes, chain_id=FOREIGN_CHAIN)


def _early(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    random = villain.world.random
    for ahead in (1, 2, FAR):
        height = header.height + ahead
        yield _attested(villain, header, votes, tip=random.randbytes(32), height=height, mhg=height - 1)


def _late(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    for row in votes.rows[1:]:
        yield _attested(villain, header, votes, tip=row.id, height=row.height, mhg=row.height - 1, mhp=row.mhp)


def _of_the_unknown(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    yield _attested(villain, header, votes, tip=villain.world.random.randbytes(32))


def _twice(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    for mhg in (0, header.height - 1):
        yield _attested(villain, header, votes, mhg=mhg)


def _in_a_flood(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    for _ in range(FLOOD):
        yield _attested(villain, header, votes, tip=villain.world.random.randbytes(32))


def _with_another_mhp(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    yield _attested(villain, header, votes, mhp=header.height - 1)


def _by_others(villain: Villain, header: Header, votes: Votes) -> Iterator[VerifiedAttestation]:
    for key in sorted(votes.electorate.speakers - {villain.secret.public}):
        yield in_the_name_of(key, _attested(villain, header, votes, tip=villain.world.random.randbytes(32)))


MISSTATEMENTS: tuple[Misstatement, ...] = (
    _with_another_tag,
    _for_another_chain,
    _by_others,
    _early,
    _late,
    _of_the_unknown,
    _with_another_mhp,
    _twice,
    _in_a_flood,
)


class Garbles(Strategy):
    """Makes one wrong block in each of its turns, each time wrong in another way, and says nothing that is right."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}
        self._heights: dict[str, int] = {}

    def lead(self, villain: Villain, slot: int) -> None:
        header, votes = villain.head
        if header.slot >= slot:
            return
        turn = self._turns[villain.name] = self._turns.get(villain.name, -1) + 1
        root, decision = outcome_of(villain, slot, ())
        mhg = self._heights.get(villain.name, 0)
        right = {"state_root": root, "decision": decision, "heard": villain.engine.heard, "mhg": mhg}
        wrong = GARBLINGS[turn % len(GARBLINGS)](villain, header, votes)
        block = villain.cabal.forge(villain.secret, header, votes, slot, **{**right, **wrong})
        self._heights[villain.name] = max(mhg, block.header.height)
        villain.tell(block)


Garbling: TypeAlias = Callable[[Villain, Header, Votes], dict[str, Any]]


def _of_height(villain: Villain, header: Header, _votes: Votes, *, more: int) -> dict[str, Any]:
    return {"height": max(1, min(villain.world.slot, header.height + more))}


def _tagged(villain: Villain, _header: Header, _votes: Votes) -> dict[str, Any]:
    return {"tag": villain.world.random.randbytes(TAG_BYTES)}


def _of_another_chain(_villain: Villain, _header: Header, _votes: Votes) -> dict[str, Any]:
    return {"chain_id": FOREIGN_CHAIN}


def _carrying_foreigners(villain: Villain, header: Header, votes: Votes) -> dict[str, Any]:
    """More than there is room for, by keys of no validators."""
    count = CARRIED_PER_SPEAKER * len(votes.electorate.speakers) + 1
    return {"heard": None, "carried": _by_foreigners(villain, header, votes, count)}


def _carrying_a_foreigner(villain: Villain, header: Header, votes: Votes) -> dict[str, Any]:
    return {"carried": _by_foreigners(villain, header, votes, 1)}


def _by_foreigners(villain: Villain, header: Header, votes: Votes, count: int) -> list[Carried]:
    """So many attestations by keys of no validators; none of the genesis, which nobody attests."""
    keys = [secret(FIRST_FOREIGNER + number) for number in range(count if header.height else 0)]
    return [villain.cabal.attest(key, header, votes).carried for key in keys]


def _carrying_forgeries(villain: Villain, header: Header, votes: Votes) -> dict[str, Any]:
    """What others would have said, and did not, with signatures that nobody made."""
    row = votes.row(header.height)
    others = sorted(row.electorate.speakers - {villain.secret.public, header.proposer}) if row is not None else []
    forged = [villain.cabal.attest(villain.secret, header, votes, name=key).carried for key in others]
    return {"heard": None, "carried": forged}


def _carrying_twice(villain: Villain, header: Header, votes: Votes) -> dict[str, Any]:
    own = [_attested(villain, header, votes, mhg=mhg).carried for mhg in (0, header.height - 1) if header.height]
    return {"heard": None, "carried": own}


def _carrying_old(villain: Villain, header: Header, votes: Votes) -> dict[str, Any]:
    rows = votes.rows[2:]
    old = [
        _attested(villain, header, votes, tip=row.id, height=row.height, mhg=row.height - 1, mhp=row.mhp)
        for row in rows
    ]
    return {"heard": None, "carried": [each.carried for each in old]}


def _deciding(_villain: Villain, _header: Header, votes: Votes) -> dict[str, Any]:
    """What executing the block does not decide: it leaves another out, or bars it, or gives it a tag."""
    keys = sorted(votes.electorate.speakers)
    kept = tuple(each for each in votes.electorate.current.weights if each[0] != keys[0])
    decisions = (
        Decision(kept),
        Decision((), (tuple(keys[:1]),)),
        Decision((), (), ((keys[0], bytes([1]) * TAG_BYTES),)),
    )
    return {"decision": decisions[votes.height % len(decisions)]}


def _without_an_mhp(_villain: Villain, _header: Header, votes: Votes) -> dict[str, Any]:
    return {"mhp": max(0, votes.mhp - 1)}


def _with_too_much(_villain: Villain, header: Header, _votes: Votes) -> dict[str, Any]:
    return {"mhp": header.height}


# Those first that prove least about who did it: who is proven guilty makes no blocks any more.
GARBLINGS: tuple[Garbling, ...] = (
    _carrying_forgeries,
    _deciding,
    _of_another_chain,
    _carrying_foreigners,
    _carrying_a_foreigner,
    _tagged,
    partial(_of_height, more=2),
    partial(_of_height, more=0),
    partial(_of_height, more=FAR),
    _carrying_old,
    _carrying_twice,
    _without_an_mhp,
    _with_too_much,
)


def forge_restart(villain: Villain, slot: int, node: SimulatedNode, mhg: int, *, is_signed_by_all: bool) -> Block:
    """A block of a villain that lets the chain go on from the head of a node, as nobody else agreed.

    What it holds are signatures in the name of all, or the villain's own and no other.
    """
    head, world = node.engine.chain.head, villain.world
    restart = Restart(head.header.id, head.header.height, world.random.randbytes(SALT_BYTES))
    restart = restart.signed(villain.secret, world.genesis.id)
    if is_signed_by_all:
        (_, signature), *_ = restart.signatures
        keys = sorted(head.votes.electorate.speakers)
        restart = restart._replace(signatures=tuple((key, signature) for key in keys))
    try:
        votes = restarted(head.votes, restart, head.header.id, world.genesis.id)
    except Refused:
        votes = head.votes
    root, decision = outcome_of(node, slot, (), votes.electorate)
    tag = votes.electorate.tag(villain.secret.public).tag
    return villain.cabal.forge(
        villain.secret,
        head.header,
        head.votes,
        slot,
        mhg=mhg,
        state_root=root,
        decision=decision,
        restart=restart,
        tag=tag,
    )
