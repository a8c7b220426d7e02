"""A city that forgot: records and ratings that were struck, a member who left, and nothing new for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path

from chain.branches.blockchain import Blockchain
from chain.content.actions import Dispute, Enrol, Leave, Object, Rate, Retract
from chain.content.blocks import Block
from chain.content.policyfile import read_policy
from chain.content.proposals import Accredit
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from tests.support.homes import write_genesis
from tests.support.registered import DEFAULT, DIGEST, NEIGHBOURS, TICKET, City, city_policy

BODIES_DAYS = 10
# Of what is looked for in files: that many bytes in a row are nothing else.
TELLING_BYTES = 12


class ForgettingCity(City):
    """Slots are heights, and a day is a slot; ``gone`` is what no file of a pruned home may hold in the end."""

    def __init__(self, quiet: int = 40) -> None:
        document = city_policy().to_document()
        document["periods"] |= {"answer_days": 2, "bodies_days": BODIES_DAYS}
        document["rights"] |= {"disputed_days": 2}
        document["identity"] |= {"leave_days": 3, "recovery_days": 2, "return_days": 5}
        document["raters"] |= {"answer_days": 2}
        super().__init__(read_policy(document))
        self.gone: dict[str, bytes] = {}
        self._live()
        for _ in range(quiet):
            self.block()

    def _live(self) -> None:
        ann, bob, cleo, dan, office = self.ann, self.bob, self.cleo, self.dan, self.office
        self.block(*[member.sign(Enrol()) for member in self.members])
        self.carried(Accredit(office.key, 0, (DEFAULT, TICKET), 0, 2**63))
        filings = self.filing(cleo, TICKET, -5, 1), self.filing(bob, DEFAULT, -20, 2)
        filed = [office.sign(filing) for filing in filings]
        self.block(*filed)
        rated = ann.sign(Rate(bob.key, NEIGHBOURS, -6)), dan.sign(Rate(cleo.key, NEIGHBOURS, 3))
        self.block(*rated)
        taken_back = dan.sign(Retract(cleo.key, NEIGHBOURS))
        disputed = bob.sign(Dispute(ann.key, NEIGHBOURS, sha256(b"why it is wrong").digest()))
        self.block(cleo.sign(Object(cleo.key, 0, DIGEST)), taken_back)
        self.gone |= {
            "the struck record": filings[0].evidence,
            "its transaction": filed[0].raw[-64:],
            "the rating taken back": rated[1].raw[-64:],
            "the struck rating": rated[0].raw[-64:],
            "the objection to it": sha256(b"why it is wrong").digest(),
            "its transaction's id": rated[0].id[:8],
            "the key of dan, who left": dan.key,
        }
        self.block(disputed)
        self.block(dan.sign(Leave()))

    def write(self, home: Path, *, only_final: bool = False, beside: Sequence[Block] = ()) -> Path:
        """A home that took the blocks one after another, as a node does, each settled as soon as it was final.

        With each of the first blocks one comes that is ``beside`` it.
        """
        assert not only_final
        write_genesis(home, self.genesis)
        Storage.create(home / DATABASE, self.genesis, SigningState())
        chain = Blockchain(self.genesis)
        with closing(Storage(home / DATABASE, self.genesis)) as storage:
            for block, *side in zip_longest(self.blocks, *([beside] if beside else ())):
                chain.add(block, arrived_in_slot=True)
                settled, final = chain.settle(), chain.finalized.height
                storage.commit([Commit(adopted=(block,), side=tuple(side), finalized_height=final, settled=settled)])
        return home


def found_in(home: Path, gone: dict[str, bytes]) -> Iterator[str]:
    """What is still in any file of a home."""
    for path in sorted(home.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        yield from (f"{what} in {path.name}" for what, secret in gone.items() if secret[:TELLING_BYTES] in content)


def prune(home: Path, city: City) -> int:
    """What a pruned home drops when it starts; how many bodies that were."""
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        bodies = storage.bodies
        bodies.overwrite()
        count = 0
        while dropped := bodies.drop():
            count += dropped
        bodies.wipe()
    return count
