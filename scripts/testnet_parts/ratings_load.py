"""A testnet fed with a replay: as fast as it carries it, in a fixed order, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from chain.base.errors import OperatorError
from chain.content.genesis import load_genesis
from chain.content.policy import Policy
from p2p.client import NodeAway
from p2p.local.founding import named_policy
from scripts.replay import SAMPLE, Plan, Signer, read_ratings
from scripts.testnet_parts.confirm import FinalReader
from scripts.testnet_parts.feed import BATCH, MAX_OUTSTANDING, Feed
from scripts.testnet_parts.homes import TestnetHome
from scripts.testnet_parts.nodes import NodeProcess
from scripts.testnet_parts.pace import MAX_PER_S, Pace
from scripts.testnet_parts.run import SHORT_NAP_S, STATUS_EVERY_S, Testnet, now_ms
from scripts.testnet_parts.shape import MARKETPLACE

if TYPE_CHECKING:
    from scripts.testnet_parts.view import Bar

# Finality takes 5 slots with four validators and 7 with one of them down; three times that is no accident.
PATIENCE_SLOTS = 20
MIN_PATIENCE_MS = 5_000
# Signed and not yet submitted: two seconds of work ahead of the fastest network on one machine.
SIGN_AHEAD = MAX_OUTSTANDING
SIGN_CHUNK = 500


def plan_of(replay: Path | None, limit: int | None, policy: str | None, home: Path | None) -> Plan | None:
    """The ratings of a file, or the sample, in the first category of the policy that is asked for, or was founded with.

    None where a home with a story is opened.  Raises :class:`OperatorError`.
    """
    founded = None if home is None else home / "genesis.json"
    is_old = policy is None and founded is not None and founded.exists()
    rules = load_genesis(founded).policy if is_old and founded is not None else named_policy(policy or MARKETPLACE)
    wrong = _why_no_replay(rules)
    if wrong and is_old and replay is None:
        return None
    if wrong:
        raise OperatorError(f"the policy {rules.name} {wrong}; leave out --replay to be told its story")
    category = next(rating for _, rating in sorted(rules.ratings.items()) if not rating.is_closed)
    return Plan(read_ratings(replay or SAMPLE, category, limit), category.code)


def _why_no_replay(policy: Policy) -> str:
    """Ratings can be replayed where anybody enrols and rates; what is in the way, or nothing."""
    if all(rating.is_closed for rating in policy.ratings.values()):
        return "has no category of ratings"
    if policy.enrolment_by_registrar:
        return "wants a registrar for each enrolment"
    return "lets not everybody rate" if policy.raters.counting or policy.raters.are_choosy else ""


class Replay:
    """The load of ``testnet.py --replay``; see :class:`~scripts.testnet_parts.run.Load`."""

    can_go_on = True
    questions: Sequence[str] = ("head", "top", "verify")

    def __init__(self, home: TestnetHome, plan: Plan, max_per_s: int = MAX_PER_S) -> None:
        slot_ms = home.shape.slot_ms
        self.signer = Signer(plan, home.genesis, home.shape.seed)
        self.feed = Feed(len(plan), patience_ms=max(MIN_PATIENCE_MS, PATIENCE_SLOTS * slot_ms))
        self.pace = Pace(slot_ms, now_ms(), max_per_s)
        self.reader = FinalReader(home.genesis)
        self.resumed = 0  # final before this run
        self._is_resumed = home.is_resumed
        self._raws: list[bytes] = []

    @property
    def height(self) -> int:
        """Up to which the final chain was read."""
        return self.reader.height

    @property
    def is_done(self) -> bool:
        """Whether everything submitted is final."""
        return self.feed.is_done

    @property
    def fresh(self) -> int:
        """Transactions that this run made final."""
        return self.feed.final - self.resumed

    async def prepare(self, nodes: Sequence[NodeProcess]) -> None:
        """Derive the keys and see what an earlier run brought to finality.

        Raises :class:`OperatorError` where the home was fed from another file.
        """
        await trio.to_thread.run_sync(self.signer.derive_keys)
        if self._is_resumed:
            for node in nodes:
                while await trio.to_thread.run_sync(self.reader.is_behind, node.home):
                    await self._read_final(node)
            self.resumed = self.feed.final

    async def run(self, testnet: Testnet) -> None:
        """Sign, submit, and see what becomes final, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sign)
            nursery.start_soon(self._confirm, testnet)
            await testnet.wait_for_mesh()
            for node in testnet.nodes[: testnet.home.shape.nodes]:
                nursery.start_soon(self._submit_to, testnet, node)
            nursery.start_soon(self._keep_pace, testnet)

    def close(self) -> None:
        """Submit nothing new."""
        self.feed.close()

    def stop(self) -> None:
        """Let go of the databases."""
        self.reader.close()

    # ------------------------------------------------------------------------------------- what it tells of itself

    def bars(self, testnet: Testnet) -> list[Bar]:
        """How far it is."""
        total = self.feed.total
        included = min(testnet.included, total)
        return [
            ("submitted", self.feed.submitted, total),
            ("included", included, total),
            ("final", self.feed.final, total),
        ]

    def line(self, testnet: Testnet) -> str:
        """The same on part of a line."""
        feed, included = self.feed, min(testnet.included, self.feed.total)
        return (
            f"submitted {feed.submitted:,}  included {included:,}  final {feed.final:,} of {feed.total:,}  "
            f"pace {self.pace.per_s:,}"
        )

    def hint(self, testnet: Testnet) -> str:
        """What is worth a word under the table."""
        refused = sum(self.feed.refused.values())
        problem = f"{refused:,} refused; " if refused else ""
        if testnet.finished_s is not None:
            return f"{problem}everything is final"
        rate = self.fresh / testnet.seconds if testnet.seconds else 0.0
        return f"{problem}{testnet.seconds:.0f} s, {rate:,.0f} final transactions a second"

    def report(self, _testnet: Testnet) -> dict[str, Any]:
        """Its part of the report."""
        return {
            "submitted": self.feed.submitted,
            "final": self.feed.final,
            "refused": dict(self.feed.refused),
            "lost": self.feed.lost,
            "resumed": self.resumed,
            "resubmitted": self.feed.resubmitted,
        }

    def rows(self, report: dict[str, Any]) -> list[tuple[str, object]]:
        """How fast it was."""
        cpu_ms = report["cpu_ms_per_tx"]
        return [
            ("rate", f"{report['tx_per_s']:,} final transactions a second over {report['seconds']:.1f} s"),
            ("processor", None if cpu_ms is None else f"{cpu_ms} ms a transaction, all nodes together"),
        ]

    # --------------------------------------------------------------------------------------------------- at work

    async def _sign(self) -> None:
        """Sign ahead of the submissions, in a worker thread."""
        while len(self._raws) < self.feed.total:
            start = len(self._raws)
            if start - self.feed.horizon >= SIGN_AHEAD:
                await trio.sleep(SHORT_NAP_S)
                continue
            chunk = range(start, min(start + SIGN_CHUNK, self.feed.total))
            self._raws += await trio.to_thread.run_sync(self.signer.sign, chunk)

    async def _submit_to(self, testnet: Testnet, node: NodeProcess) -> None:
        """Offer one batch after the other to this validator, while it lives."""
        while True:
            batch = self._next_batch() if node.is_live else []
            if not batch:
                await trio.sleep(SHORT_NAP_S)
                continue
            testnet.note_start()
            try:
                outcomes = await node.submit(testnet.client, [self._raws[position] for position in batch])
            except NodeAway:
                self.feed.give_back(batch)
                await trio.sleep(STATUS_EVERY_S)
            else:
                self.feed.settle(batch, outcomes, now_ms())

    def _next_batch(self) -> list[int]:
        now = now_ms()
        if self.pace.allowed(now) < BATCH:
            return []
        batch = self.feed.take(now, len(self._raws))
        self.pace.spend(len(batch))
        return batch

    async def _keep_pace(self, testnet: Testnet) -> None:
        while True:
            waiting = max((node.told["mempool"] for node in testnet.live), default=0)
            self.pace.observe(waiting, now_ms())
            await trio.sleep(STATUS_EVERY_S)

    async def _confirm(self, testnet: Testnet) -> None:
        """Read what became final from the node that has most of it."""
        while True:
            best = testnet.furthest
            if best is None or not await self._read_final(best):
                await trio.sleep(2 * SHORT_NAP_S)

    async def _read_final(self, node: NodeProcess) -> int:
        positions = await trio.to_thread.run_sync(self.reader.advance, node.home, self.signer.locate)
        for position in positions:
            self.feed.confirm(position)
        return len(positions)
