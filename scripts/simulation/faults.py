"""What goes wrong, when its slot has come; and how everything is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from chain.consensus.electorate import Gate
from chain.protocol.clock import PATIENCE_MS
from chain.protocol.events import SigningState
from scripts.simulation.acts import (
    Act,
    Ambush,
    BackUp,
    Clogged,
    Crash,
    Cut,
    Freeze,
    Mischief,
    Near,
    Offer,
    Prune,
    Ruin,
    SlowDisk,
    Upgrade,
    Weather,
    Weathered,
    WrongClock,
)
from scripts.simulation.keeping import are_needed, may_prune, source_of
from scripts.simulation.node import SimulatedNode
from scripts.simulation.rescue import Rescue
from scripts.simulation.settings import Profile
from scripts.simulation.strangers import let_near
from scripts.simulation.world import SLOT_MS, World

# A node that went down by itself is back so soon.
DOWN_SLOTS = 3


class Faults:
    """Does what is planned: acts whose object is not there to suffer them are no acts."""

    def __init__(self, world: World, acts: Iterable[Act]) -> None:
        self.world = world
        self.count = 0
        self.rescue = Rescue(world)
        self._acts: dict[int, list[Act]] = {}
        for act in acts:
            self._acts.setdefault(act.slot, []).append(act)
        let_near(world, sum(isinstance(act, Near) for act in self._acts.get(0, ())))
        self._doomed: dict[str, Crash] = {}
        self._back_at: dict[str, int] = {}
        self._ambushes: list[Ambush] = []
        self._ambushed_until = -1

    def each_slot(self) -> None:
        """Trouble and traffic, or none."""
        for act in self._acts.get(self.world.slot, ()):
            self._do(act)
        self._spring()
        for node in self.world.honest:
            if not node.is_up:
                self._bring_back(node)
        self.rescue.each_slot()

    def mend(self) -> None:
        """Peace: all links are good, all nodes run, all disks are fast and all clocks are right."""
        world = self.world
        world.timeline.say("world", "all faults end")
        world.is_mended = True
        world.network.weather = Weather()
        world.network.clogged_until_ms.clear()
        world.network.heal()
        world.network.send_away()
        for node in world.honest:
            node.doom = ""
            node.disk.write_ms = 0
            node.set_clock(0, 0)
            if not node.is_up:
                node.start()

    def _do(self, act: Act) -> None:
        world = self.world
        match act:
            case Weathered():
                world.network.weather = act.weather
                self._tell(act)
            case Clogged():
                world.network.clogged_until_ms[act.one, act.two] = world.now_ms + act.for_ms
                self._tell(act)
            case Cut():
                self._part(act)
            case Ambush():
                self._ambushes.append(act)
            case Crash():
                self._crash(world.by_name[act.node], act)
            case BackUp():
                if world.by_name[act.node].is_up:
                    world.by_name[act.node].disk.back_up()
                    self._tell(act)
            case Ruin():
                self._ruin(act)
            case Prune():
                node = world.by_name[act.node]
                if world.homes is None and may_prune(world, node):
                    node.disk.prune()
                    self._tell(act)
            case Upgrade():
                self._upgrade(world.by_name[act.node])
                self._tell(act)
            case SlowDisk():
                world.by_name[act.node].disk.write_ms = act.write_ms
                self._later(act.slots, partial(self._speed_up, act.node))
                self._tell(act)
            case WrongClock():
                world.by_name[act.node].set_clock(act.offset_ms, act.drift_ppm)
                if act.offset_ms:
                    self._tell(act)
            case Freeze():
                world.by_name[act.node].freeze(act.for_ms)
                self._tell(act)
            case Offer():
                world.workload.offer(act.number, act.count)
            case Mischief():
                world.workload.do_mischief()
            case Near():
                pass

    def _later(self, slots: int, action: Callable[[], None]) -> None:
        def unless_mended() -> None:
            if not self.world.is_mended:
                action()

        self.world.schedule.later(slots * SLOT_MS, unless_mended)

    def _tell(self, what: object) -> None:
        self.count += 1
        self.world.timeline.say("world", str(what))

    # --------------------------------------------------------------------------------------------------- network

    def _spring(self) -> None:
        """One ambush after the other, as validators change."""
        world = self.world
        phases = [node.engine.chain.electorate.phase for node in world.honest if node.is_up and self._ambushes]
        stages = {"gate" if isinstance(phase, Gate) else "joint" for phase in phases if phase is not None}
        ambush = next((each for each in self._ambushes if each.stage in stages), None)
        if ambush is None or world.slot <= self._ambushed_until:
            return
        self._ambushes.remove(ambush)
        self._ambushed_until = world.slot + ambush.wait_slots + ambush.cut.turns[-1]
        self._later(ambush.wait_slots, partial(self._part, ambush.cut))

    def _part(self, cut: Cut) -> None:
        self._cut(cut)
        for number, turn in enumerate(cut.turns):
            self._later(turn, partial(self._cut, cut) if number % 2 else self._heal)

    def _cut(self, cut: Cut) -> None:
        self.world.network.cut(cut.ways, noticed=cut.is_noticed)
        self._tell(cut)

    def _heal(self) -> None:
        self.world.network.heal()
        self._tell("the cut is healed")

    # ----------------------------------------------------------------------------------------------------- nodes

    def _speed_up(self, name: str) -> None:
        self.world.by_name[name].disk.write_ms = 0

    def _crash(self, node: SimulatedNode, crash: Crash) -> None:
        if not node.is_up:
            return
        self.count += 1
        self._doomed[node.name] = crash
        node.doom = crash.doom
        node.doom_seed = crash.seed
        if not crash.doom:
            node.crash()

    def _upgrade(self, node: SimulatedNode) -> None:
        node.is_upgraded = not node.is_upgraded
        if node.is_up:
            node.crash("its operator stops it, for another version")

    def _bring_back(self, node: SimulatedNode) -> None:
        slot, crash = self.world.slot, self._doomed.get(node.name)
        back_at = self._back_at.setdefault(node.name, slot + (crash.down_slots if crash else DOWN_SLOTS))
        if slot < back_at:
            return
        del self._back_at[node.name]
        if crash is not None:
            del self._doomed[node.name]
            if crash.damage and self._may_forget(node):
                node.disk.finds_out = crash.damage == "restored" and self._is_shown(node)
                node.damage_disk(crash.damage, crash.seed)
                if crash.damage == "removed" and crash.seed % 2:
                    node.source = source_of(self.world, node)
        node.start()

    def _may_forget(self, node: SimulatedNode) -> bool:
        """Whether others can do without what this node would lose.

        Silent validators without whom nothing becomes final would wait for one another until people help them, and
        bodies that nobody else has would be gone for good.
        """
        if are_needed(self.world, node):
            return False
        talking = [other for other in self.world.honest if not other.disk.may_be_lost and other is not node]
        return node.key is not None and all(self.are_enough(talking))

    def are_enough(self, nodes: Iterable[SimulatedNode]) -> Iterator[bool]:
        """Whether these decide, by each set of validators that somebody knows."""
        keys = [node.key.public for node in nodes if node.key is not None]
        known = {each for node in self.world.honest for each in node.engine.chain.electorate.all_sets}
        return (each.weight_of(keys) >= each.threshold for each in known)

    def _ruin(self, ruin: Ruin) -> None:
        """Whoever is left cannot make anything final, honest or not; but somebody honest has the chain, on its disk.

        Where nobody has, people found another network, and this history is over.
        """
        victims = [self.world.by_name[name] for name in ruin.nodes]
        rest = set(self.world.nodes).difference(victims)
        has_chain = any(node.is_honest and node.disk.main for node in rest)
        has_chain &= not are_needed(self.world, *victims)
        if self.rescue.is_under_way or any(self.are_enough(rest)) or not has_chain:
            return
        self._tell(ruin)
        for node in victims:
            if node.is_up:
                node.crash()
            self._doomed.pop(node.name, None)
            self._back_at[node.name] = self.world.slot + ruin.down_slots
            node.damage_disk("removed", 0)
        self.rescue.begin()

    def _is_shown(self, node: SimulatedNode) -> bool:
        """Whether a node finds out, before it says anything, what it said since the backup that is restored."""
        world, signing = self.world, node.disk.backed_up_signing
        others = [other for other in world.honest if other is not node and other.is_up and not other.is_frozen]
        return (
            signing is not None
            and not node.disk.write_ms
            and len(world.honest) == len(world.nodes)
            and world.network.is_prompt
            and bool(others)
            and all(_holds_more(other, node, signing) for other in others)
        )


def _holds_more(node: SimulatedNode, other: SimulatedNode, signing: SigningState) -> bool:
    """Whether the chain of a node holds what another said after that signing state."""
    key = b"" if other.key is None else other.key.public
    return any(
        block.header.proposer == key or any(each.speaker == key for each in block.ballot.attestations)
        for height, block in node.disk.main.items()
        if height > signing.mhg + 1
    )


def longest_wait_slots(profile: Profile) -> int:
    """For how many slots after the faults a validator may have signed ahead, with a clock that was fast."""
    return (PATIENCE_MS + 3_000) // SLOT_MS if profile.clocks else 0
