"""What an honest validator may say: the state that it keeps, and the rule by which it speaks."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.knobs import Rules
from tests.model.rules import NO_TAG, Block, Statement


@dataclass(slots=True)
class Honest:
    """The signing state of one honest validator, durable before anything leaves it.

    ``mhg`` is the largest height that it ever spoke at, ``last`` the (mhp, height) of its last statement, ``tag`` the
    tag it speaks under; ``made`` and ``attested`` are its mhg by kind, used where that rule is taken out.
    """

    mhg: int = 0
    last: tuple[int, int] = (-1, -1)
    tag: int = NO_TAG
    made: int = 0
    attested: int = 0

    def mhg_on(self, speaker: str, parent: Block, *, makes: bool, rules: Rules) -> int:
        """What it shows as mhg in a statement about ``parent``, or about a child of it that it makes."""
        recorded = recorded_height(speaker, parent)
        if rules.mhg_per_branch:
            return recorded
        if rules.mhg_per_kind:
            return self.made if makes else self.attested
        return max(self.mhg, recorded) if self.tag != NO_TAG else self.mhg

    def may_say(self, said: Statement, rules: Rules) -> bool:
        """Whether a statement is one of an honest validator: (mhp, height) grows, whatever its head is."""
        return rules.any_order or (said.mhp, said.height) > self.last

    def say(self, said: Statement, *, makes: bool) -> None:
        """Remember a statement before it leaves."""
        self.last = (said.mhp, said.height)
        self.mhg = max(self.mhg, said.height)
        if makes:
            self.made = max(self.made, said.height)
        else:
            self.attested = max(self.attested, said.height)


def recorded_height(speaker: str, block: Block) -> int:
    """The highest height at which a speaker is recorded on a branch, else 0."""
    return max(block.said.get(speaker, {}), default=0)
