"""A testnet that is told a story, and audited when it has stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey, did_from_key
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from p2p.client import NodeAway
from p2p.local.addressbook import write_names
from scripts.municipal.audit import Audit, audit
from scripts.municipal.cast import Cast, Player
from scripts.municipal.director import Director
from scripts.municipal.encore import Encore
from scripts.municipal.story import Story
from scripts.municipal.telling import summary_of
from scripts.replay import node_seed
from scripts.tale.company import Troupe
from scripts.tale.tale import Tale
from scripts.testnet_parts.confirm import FinalReader
from scripts.testnet_parts.feed import BATCH
from scripts.testnet_parts.homes import TestnetHome
from scripts.testnet_parts.nodes import NodeProcess
from scripts.testnet_parts.playing import set_stage
from scripts.testnet_parts.run import SHORT_NAP_S, Testnet
from scripts.testnet_parts.shape import MUNICIPAL

if TYPE_CHECKING:
    from scripts.testnet_parts.view import Bar


class Rehearsal:
    """The load of ``testnet.py --scenario`` and ``--policy``; see :class:`~scripts.testnet_parts.run.Load`."""

    can_go_on = False

    def __init__(self, home: TestnetHome, tell: Callable[[str], None], *, is_played: bool = False) -> None:
        shape = home.shape
        secrets = [SecretKey(node_seed(shape.seed, index)) for index in range(shape.nodes + 1)]
        tell_past = silent if home.is_resumed else tell
        people: Sequence[Player]
        if shape.scenario == MUNICIPAL:
            cast = Cast(shape.seed, secrets[:-1], secrets[-1])
            self.director = Director(home.genesis, cast, tell_past)
            self.director.begin((Encore if is_played else Story)(self.director).chapters())
            people = cast.found, cast.member(14)
        else:
            troupe = Troupe(shape.seed, secrets[:-1], home.genesis.policy)
            self.director = Director(home.genesis, troupe, tell_past)
            self.director.begin(Tale(self.director).chapters())
            people = troupe.members[:2]
        self._tell = tell
        self._is_played = is_played
        self.reader = FinalReader(home.genesis)
        self._home = home
        self._is_closed = False
        asked = [f"member {did_from_key(player.key)} --explain" for player in people]
        self.questions: Sequence[str] = ["head", "authorities", *asked, "verify"]

    @property
    def height(self) -> int:
        """Up to which the final chain was read."""
        return self.reader.height

    @property
    def is_done(self) -> bool:
        """Whether the story is over."""
        return self._is_closed or self.director.is_done

    @property
    def fresh(self) -> int:
        """Transactions that are final."""
        return self.director.transactions

    async def prepare(self, _nodes: Sequence[NodeProcess]) -> None:
        """A story is told once, and can be played on; every table names its people.  Raises :class:`OperatorError`."""
        if self._home.is_resumed and not self._is_played:
            way = "leave out --home to tell it in a fresh one"
            if self._home.shape.scenario == MUNICIPAL:
                way = "add --scenario municipal --play to go on with it"
            raise OperatorError(f"the story was begun in {self._home.path}; {way}")
        self._is_closed = self._home.is_resumed
        names = {did_from_key(player.key): player.name for player in self.director.cast.everybody}
        for name in self._home.shape.names:
            write_names(self._home.path / name, names)

    async def run(self, testnet: Testnet) -> None:
        """Tell the story, until cancelled."""
        await testnet.wait_for_mesh()
        testnet.note_start()
        is_handed_over = not self._is_played
        while True:
            if self.is_done and not is_handed_over and (node := testnet.furthest) is not None:
                is_handed_over = True
                await self._hand_over(node)
            best = testnet.furthest
            blocks = [] if best is None else await trio.to_thread.run_sync(self.reader.read, best.home)
            for block in blocks:
                self.director.observe(block)
            offers = [] if self.is_done else self.director.offers()
            if offers:
                await self._submit(testnet, offers)
            elif not blocks:
                await trio.sleep(SHORT_NAP_S)
            await self._attempt(testnet)

    async def _hand_over(self, node: NodeProcess) -> None:
        """Leave the keys, and say what can be done with them."""
        lines = await trio.to_thread.run_sync(
            set_stage, self._home.path, node.home, self._home.genesis, self.director.cast
        )
        for line in lines:
            self._tell(line)

    async def _submit(self, testnet: Testnet, offers: Sequence[VerifiedTransaction]) -> None:
        """To a node that answers.  What it refuses, the director offers again later, or gives up."""
        for batch in (offers[at : at + BATCH] for at in range(0, len(offers), BATCH)):
            while not await self._taken(testnet, [transaction.raw for transaction in batch]):
                await trio.sleep(SHORT_NAP_S)

    async def _taken(self, testnet: Testnet, raws: list[bytes]) -> bool:
        for node in testnet.live:
            try:
                await node.submit(testnet.client, raws)
            except NodeAway:
                continue
            return True
        return False

    async def _attempt(self, testnet: Testnet) -> None:
        """Ask the furthest node what it makes of what is to be refused; if it is away, another time."""
        attempts, node = self.director.attempts(), testnet.furthest
        if attempts and node is not None:
            with suppress(NodeAway):
                outcomes = await node.try_out(testnet.client, [transaction.raw for transaction in attempts])
                self.director.answered(attempts, outcomes)

    def close(self) -> None:
        """Break off."""
        self._is_closed = True

    def stop(self) -> None:
        """Let go of the databases."""
        self.reader.close()

    # ------------------------------------------------------------------------------------- what it tells of itself

    def bars(self, _testnet: Testnet) -> list[Bar]:
        """A story has none: nobody knows how long the chain will take."""
        return []

    def line(self, _testnet: Testnet) -> str:
        """How far it is, on part of a line."""
        return f"chapter {len(self.director.told)}: {summary_of(self.director.paper)}"

    def hint(self, testnet: Testnet) -> str:
        """The same under the table."""
        return f"{self.line(testnet)}{'; the story is over' if testnet.finished_s is not None else ''}"

    def report(self, testnet: Testnet) -> dict[str, Any]:
        """The verdict on what every stopped node's state says."""
        genesis, paper = self._home.genesis, self.director.paper
        audits = {node.name: audit_home(node.home, genesis) for node in testnet.nodes}
        differences = [f"{name}: {text}" for name, found in audits.items() for text in found.differences]
        told = self.director.told
        ends = [*(chapter.height for chapter in told[1:]), paper.height]
        least = min(audits.values(), key=lambda found: found.explained)
        for name, text in least.tables.items():
            (self._home.path / name).write_text(text, encoding="utf-8")
        return {
            "scenario": self._home.shape.scenario,
            "policy": genesis.policy.name,
            "complete": self.director.is_done,
            "submitted": self.director.submitted,
            "final": self.director.transactions,
            "refused": {},
            "lost": 0,
            "skipped": self.director.skipped,
            "attempts": self.director.refused,
            "chapters": [
                {"title": chapter.title, "from_height": chapter.height, "to_height": end}
                for chapter, end in zip(told, ends, strict=False)
            ],
            "counts": dict(Counter(event.what for event in paper.events)),
            "explained": f"{least.explained} of {least.members}",
            "differences": differences,
            "faults": list(paper.faults),
            "audited": all(found.holds for found in audits.values()),
            "outcome": str(self._home.path / "outcome.csv"),
        }

    def rows(self, report: dict[str, Any]) -> list[tuple[str, object]]:
        """How it ended, and what is wrong if anything is."""
        wrong = [("WRONG", text) for text in (*report["differences"], *report["faults"])]
        return [
            ("story", f"{len(report['chapters'])} chapters{'' if report['complete'] else ', broken off'}"),
            ("scores", _scores_in_words(report)),
            ("outcome", f"{report['outcome']}; what was computed by hand is in the file beside it"),
            *wrong,
        ]


def _scores_in_words(report: dict[str, Any]) -> str:
    """Whether every score is the sum of its lines, and what counting by hand gives as well."""
    wrong = len(report["differences"])
    by_hand = "all as computed by hand" if not wrong else f"{wrong} are not as computed by hand"
    return f"{report['explained']} are the sum of their lines; {by_hand}"


def silent(_sentence: str) -> None:
    """What was told once is not told again."""


def audit_home(home: Path, genesis: Genesis) -> Audit:
    """Compare what one stopped node's state says with the paper of its own final blocks."""
    reader = Reader(home / DATABASE, genesis)
    try:
        with reader.consistent():
            header = reader.snapshot_header()
            height = 0 if header is None else header.height
            blocks = {block.header.height: block for block in reader.blocks(1, height)}
            return audit(genesis, blocks, dict(reader.state_rows()), height)
    finally:
        reader.close()
