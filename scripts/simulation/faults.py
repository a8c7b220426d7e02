"""What goes wrong, and when; and how everything is mended."""

from __future__ import annotations

from chain.clock import PATIENCE_MS
from scripts.simulation.network import Weather
from scripts.simulation.node import Doom, SimulatedNode
from scripts.simulation.settings import Profile, tolerated
from scripts.simulation.strangers import let_near
from scripts.simulation.world import SLOT_MS, World

# Shares in a thousand, for each slot, and for each node where it is about one.
WEATHER = 40
CUT = 35
CLOG = 40
CRASH = 10
AMNESIA = 150  # of crashes
CRASH_AFTER_REORG = 50  # of reorgs
SLOW_DISK = 10
JUMP = 10
FAR_JUMP = 150  # of jumps
JUMP_OF_ALL = 2
FREEZE = 2
NTP = 50
# How many strangers come near: in some histories none, unless it is all about them.
STRANGERS = (0, 0, 1, 2)
# Some histories are calm, some are stormy: what the shares of cuts, crashes, slow disks and jumps are multiplied by.
INTENSITIES = (1, 1, 2, 4)

MAX_DOWN_SLOTS = 25
MAX_CUT_SLOTS = 40
MAX_CLOG_MS = 15_000
MAX_WRITE_MS = 3_000
MAX_JUMP_MS = 450
MAX_FAR_JUMP_MS = 20_000
MAX_FREEZE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Faults:
    """Draws the faults of a profile from the world's randomness, slot by slot."""

    def __init__(self, world: World, profile: Profile) -> None:
        self.world = world
        self.profile = profile
        self.count = 0
        self.intensity = world.random.choice(INTENSITIES)
        if profile.strangers:
            let_near(world, world.random.choice(STRANGERS) if profile.network else max(STRANGERS))
        self._down_until: dict[str, int] = {}
        self._slow_until: dict[str, int] = {}
        self._cut_until = 0
        self._flaps: list[tuple[str, str]] = []
        self._is_cut = False

    def each_slot(self) -> None:
        """Trouble, or none."""
        if self.profile.network and len(self.world.nodes) > 1:
            self._network_trouble()
        if self.profile.crashes:
            for node in self.world.honest:
                self._node_trouble(node)
        if self.profile.clocks:
            self._clocks_of_all()
            for node in self.world.honest:
                self._clock_trouble(node)

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
            node.fragility = 0
            node.disk.write_ms = 0
            node.set_clock(0, 0)
            if not node.is_up:
                node.start()

    # --------------------------------------------------------------------------------------------------- network

    def _network_trouble(self) -> None:
        world, random = self.world, self.world.random
        if world.chance(WEATHER):
            low_ms = random.choice([2, 20, 200])
            world.network.weather = Weather(
                low_ms,
                random.choice([10, 200, 800]),
                tail=random.choice([0, 20, 100]),
                loss=random.choice([0, 0, 20, 100, 300]),
                duplicate=random.choice([0, 0, 50]),
                reorder=random.choice([0, 0, 50]),
            )
            self._tell(str(world.network.weather))
        if world.chance(CLOG * self.intensity):
            one, two = random.sample(world.nodes, 2)
            until_ms = world.now_ms + random.randint(1_000, MAX_CLOG_MS)
            world.network.clogged_until_ms[one.name, two.name] = until_ms
            self._tell(f"the link from {one.name} to {two.name} is clogged for {until_ms - world.now_ms} ms")
        if world.slot >= self._cut_until:
            if self._is_cut:
                self._heal()
                self._flaps = []
            elif world.chance(CUT * self.intensity):
                self._cut()
        elif self._flaps and world.chance(400):
            if self._is_cut:
                self._heal()
            else:
                self._is_cut = True
                world.network.cut(self._flaps, noticed=True)
                self._tell("the flapping cut is back")

    def _heal(self) -> None:
        self._is_cut = False
        self.world.network.heal()
        self._tell("the cut is healed")

    def _cut(self) -> None:
        random = self.world.random
        names = [node.name for node in self.world.nodes]
        random.shuffle(names)
        at = random.randint(1, len(names) - 1)
        left, right = names[:at], names[at:]
        ways = [(one, two) for one in left for two in right]
        kind = random.choice(["whole", "flapping", "one way", "single ways"])
        if kind == "single ways":
            ways = [(one, two) for one in names for two in names if one != two and random.randrange(3) == 0]
        elif kind != "one way":
            ways += [(two, one) for one, two in ways]
        self._flaps = ways if kind == "flapping" else []
        self._cut_until = self.world.slot + random.randint(2, MAX_CUT_SLOTS)
        self._is_cut = True
        is_noticed = kind == "flapping" or (kind == "whole" and random.randrange(2) == 0)
        self.world.network.cut(ways, noticed=is_noticed)
        self._tell(f"a cut ({kind}{', noticed' if is_noticed else ''}) of {' '.join(left)} from {' '.join(right)}")

    # ----------------------------------------------------------------------------------------------------- nodes

    def _node_trouble(self, node: SimulatedNode) -> None:
        world, random = self.world, self.world.random
        node.fragility = CRASH_AFTER_REORG * self.intensity
        if not node.is_up:
            until = self._down_until.setdefault(node.name, world.slot + random.randint(1, MAX_DOWN_SLOTS))
            if world.slot >= until:
                del self._down_until[node.name]
                if world.chance(AMNESIA) and self._may_forget(node):
                    node.forget_signing(wipe=random.randrange(2) == 0)
                node.start()
            return
        if world.chance(CRASH * self.intensity):
            self.count += 1
            dooms: list[Doom] = ["", "lost", "torn", "kept"]
            node.doom = random.choice(dooms)
            if not node.doom:
                node.crash()
        elif world.chance(SLOW_DISK * self.intensity):
            node.disk.write_ms = random.choice([5, 50, 500, MAX_WRITE_MS])
            self._slow_until[node.name] = world.slot + random.randint(1, 20)
            self._tell(f"the disk of {node.name} takes up to {node.disk.write_ms} ms")
        elif self._slow_until.get(node.name) == world.slot:
            node.disk.write_ms = 0

    def _may_forget(self, node: SimulatedNode) -> bool:
        """More than f silent validators at once would wait for one another for ever."""
        silent = [other for other in self.world.nodes if not other.is_honest or other.disk.signing is None]
        return node.key is not None and len(silent) < tolerated(len(self.world.secrets))

    # ---------------------------------------------------------------------------------------------------- clocks

    def _clock_trouble(self, node: SimulatedNode) -> None:
        world, random = self.world, self.world.random
        if world.chance(JUMP * self.intensity):
            is_far = world.chance(FAR_JUMP)
            reach_ms = random.choice([MAX_FAR_JUMP_MS, HOUR_MS, DAY_MS]) if is_far else MAX_JUMP_MS
            offset_ms = random.randint(-reach_ms, reach_ms)
            drift_ppm = random.choice([0, -100, 100, -10_000, 10_000])
            node.set_clock(offset_ms, drift_ppm)
            self._tell(f"the wall clock of {node.name} is off by {offset_ms} ms and drifts by {drift_ppm} ppm")
        elif world.chance(FREEZE):
            duration_ms = random.randint(1_000, MAX_FREEZE_MS)
            node.freeze(duration_ms)
            self._tell(f"{node.name} freezes for {duration_ms} ms, and its monotonic clock with it")
        elif world.chance(NTP):
            node.set_clock(0, 0)

    def _clocks_of_all(self) -> None:
        """All are set by one source, and that is wrong."""
        world = self.world
        if world.chance(JUMP_OF_ALL * self.intensity):
            offset_ms = world.random.randint(-HOUR_MS, HOUR_MS)
            for node in world.honest:
                node.set_clock(offset_ms, 0)
            self._tell(f"all wall clocks are off by {offset_ms} ms")

    def _tell(self, text: str) -> None:
        self.count += 1
        self.world.timeline.say("world", text)


def longest_wait_slots(profile: Profile) -> int:
    """For how many slots after the faults a validator may have signed ahead, with a clock that was fast."""
    return (PATIENCE_MS + 3_000) // SLOT_MS if profile.clocks else 0
