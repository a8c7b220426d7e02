"""One network with villains, slot by slot, as documents: :mod:`scripts.simulation`, led by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from chain.base.keys import did_from_key
from chain.branches.blocktree import TreeNode
from scripts.simulation.byzantine import STRATEGIES
from scripts.simulation.history import History
from scripts.simulation.node import SimulatedNode
from scripts.simulation.settings import Settings, Violation, tolerated
from scripts.simulation.sharing import shared

Document = dict[str, Any]

MAX_SLOTS = 2_000
"""So many slots an experiment has.  Villains begin to behave after half of them."""

_SHOWN_ROWS = 24
_OFFERED = (
    *("silent", "equivocates", "clones", "betrays", "withholds", "stale", "lies", "stalls", "censors", "floods"),
)


def choices() -> Document:
    """What can be chosen: attacks with what they are, and how many villains each number of validators tolerates."""
    attacks = {name: (STRATEGIES[name].__doc__ or "").split("\n")[0] for name in _OFFERED}
    return {"attacks": attacks, "tolerated": {str(number): tolerated(number) for number in range(4, 11)}}


class Experiment:
    """A network, from its first slot on; :meth:`close` it at the end."""

    def __init__(self, seed: int, validators: int, attack: str, villains: int) -> None:
        settings = Settings(validators, MAX_SLOTS, "none", attack if villains else "", villains, traffic="ratings")
        self._sharing = ExitStack()
        self._sharing.enter_context(shared())
        self._history = History(settings, seed)
        self._world = self._history.world
        self._seen = {self._world.genesis.id}
        self._slot = 0
        self._cut: list[str] = []
        self._violation = ""
        for node in self._world.nodes:
            self._world.checks.watch(node)
        for node in self._world.nodes:
            node.start()

    def close(self) -> None:
        """Nothing is shared any more."""
        self._history.close()
        self._sharing.close()

    # --------------------------------------------------------------------------------------------- what happens

    def step(self) -> Document:
        """Let a slot pass; what is new, and where everybody stands."""
        world = self._world
        if not self._violation and self._slot < MAX_SLOTS:
            try:
                world.draw_anew(self._slot)
                self._history.faults.each_slot()
                world.run_slots(1)
                world.checks.each_slot()
            except Violation as violation:
                self._violation = str(violation)
            self._slot += 1
        return self.now()

    def cut(self, names: Iterable[str]) -> None:
        """Keep these nodes from all others, from now on; villains reach both sides."""
        self.heal()
        self._cut = sorted(names)
        honest = [node.name for node in self._world.honest]
        ways = [(one, other) for one in self._cut for other in honest if one in honest and other not in self._cut]
        self._world.network.cut([*ways, *((other, one) for one, other in ways)], noticed=True)

    def heal(self) -> None:
        """Everybody reaches everybody again."""
        self._cut = []
        self._world.network.heal()

    # --------------------------------------------------------------------------------------------- what is seen

    def now(self) -> Document:
        """Where everybody stands, and the blocks that were not told yet."""
        checks = self._world.checks
        return {
            "slot": self._slot,
            "nodes": [_node(node, self._cut) for node in self._world.nodes],
            "blocks": list(self._new_blocks()),
            "named": list(checks.culprits()),
            "jailed": checks.jailed,
            "forked": checks.forked,
            "violation": self._violation,
            "digest": self._world.timeline.digest(),
        }

    def _new_blocks(self) -> Iterator[Document]:
        for node in self._world.nodes:
            for known in node.engine.chain.tree.nodes() if node.is_up else ():
                if known.header.id not in self._seen and not known.invalid:
                    self._seen.add(known.header.id)
                    yield _block(known)


def _block(known: TreeNode) -> Document:
    header = known.header
    return {
        "id": header.id.hex(),
        "height": header.height,
        "slot": header.slot,
        "parent": header.parent.hex(),
        "proposer": did_from_key(header.proposer),
    }


def _node(node: SimulatedNode, cut: list[str]) -> Document:
    chain = node.engine.chain
    key = node.world.secrets[int(node.name.removeprefix("villain").removeprefix("node"))]
    return {
        "name": node.name,
        "validator": did_from_key(key.public),
        "villain": not node.is_honest,
        "apart": node.name in cut,
        "height": chain.head.header.height,
        "head": chain.head.header.id.hex(),
        "final_height": chain.finalized.height,
        "final": chain.finalized.id.hex(),
        "votes": _votes(node),
    }


def _votes(node: SimulatedNode) -> dict[str, list[float]]:
    """Prevotes and precommits for the newest blocks, as shares of what is needed."""
    rows = node.engine.chain.head.votes.rows[:_SHOWN_ROWS]
    return {
        row.id.hex(): [votes[0] / row.electorate.sets[0].threshold for votes in (row.prevotes, row.precommits)]
        for row in rows
    }


# ---------------------------------------------------------------------------------------------------- for the page

_running: list[Experiment] = []


def answer(question: str) -> str:
    """A message of the page, and the answer: the experiment that it is about is the last one begun."""
    asked = json.loads(question)
    match asked.pop("do"):
        case "choices":
            return json.dumps(choices())
        case "begin":
            while _running:
                _running.pop().close()
            _running.append(Experiment(**asked))
        case "step":
            return json.dumps(_running[-1].step())
        case "cut":
            _running[-1].cut(asked["names"])
        case "heal":
            _running[-1].heal()
        case "end":
            while _running:
                _running.pop().close()
            return json.dumps({})
    return json.dumps(_running[-1].now())
