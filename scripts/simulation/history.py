"""One run, from its seed to its outcome."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random

from chain.protocol.clock import AGREE_MS, PATIENCE_MS, SETTLED_MS
from scripts.simulation.acts import Act
from scripts.simulation.checks import Checks
from scripts.simulation.effects import Effects, crashed
from scripts.simulation.faults import Faults, longest_wait_slots
from scripts.simulation.mutations import MUTATIONS, mutated
from scripts.simulation.network import Network
from scripts.simulation.node import SimulatedNode
from scripts.simulation.outlaws import STRANGEST, join_cabal, most_tolerated
from scripts.simulation.plan import BROKEN, FORGETFUL, Plan
from scripts.simulation.settings import PROFILES, BrokenInside, Outcome, Settings, Violation
from scripts.simulation.sharing import shared
from scripts.simulation.workload import Workload
from scripts.simulation.world import HEARTBEAT_SLOTS, SLOT_MS, World, secret, simulated_genesis

# Nodes that observe until they become validators, by what clients do, and the number of the first one's key.
SPARES = {"registry": 2, "council": 4, "quiet": 3}
FIRST_SPARE = 500

# Of what clients do: what no rule can ever stand against, and what a mixed history may have.  In one of so many of
# those there are villains.
FIRM_TRAFFIC = ("ratings", "recorded")
MIXED_TRAFFIC = ("ratings", "recorded", "registry", "council")
VILLAINS_IN = 3

# What follows the faults.  Where people are to let the chain go on, they do so first, within so many slots (in 40
# histories it took 87 at most).  Then the nodes connect and the last requests into the void time out.
RESCUE_SLOTS = 300
CALM_SLOTS = 12
# Then all must have one head and new final blocks within this many slots.  Before it a download may time out (10 s) and
# its peer rest (8 s after three failures in a row, the more the longer links were bad); finality takes less than three
# slots a validator, also with f silent ones (19 slots for seven).  In 457 histories with all faults (150 slots, 4 to 7
# nodes) it took 5 to 18 slots, at the median 10.
HEAL_SLOTS = 20
HEAL_SLOTS_A_VALIDATOR = 3
# Where the machines of more than are tolerated were frozen, nobody can say who is right: each follows its wall clock
# after ten minutes, and waits once more until it believes that.
SETTLED_SLOTS = (SETTLED_MS + PATIENCE_MS) // SLOT_MS
REPENTANCE_BLOCKS = 8
# Jails come one after another where they move a third of the weight: two rounds until one is in force, and one more
# until that is final.
JAIL_SLOTS_A_VALIDATOR = 12
# With villains at work there is no end of faults; finality must move on in so many slots all the same.
STALL_SLOTS_A_VALIDATOR = 16
# And of what clients were promised something becomes final in so many.
CENSORED_SLOTS_A_VALIDATOR = 8
# The kinds of faults with which links are good, but for what villains do.
CALM = ("none", "strangers", "idle")
# No chain is quiet that grows by so much and becomes not final.
PILED_BLOCKS_A_VALIDATOR = 4
# In good conditions, after all that, each validator makes a block within so many slots a validator.
MUTE_SLOTS_A_VALIDATOR = 6


class History:
    """A world and what happens in it."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.profile = PROFILES[settings.faults]
        self.settings = settings = cast(settings, seed)
        validators = settings.nodes or 4
        secrets = [secret(number + 1) for number in range(validators)]
        genesis = simulated_genesis(secrets)
        self._homes = Path(tempfile.mkdtemp(dir=memory_folder())) if settings.disk == "real" else None
        self.world = world = World(
            seed, genesis, secrets, settings.slots, keep=settings.keep_timeline, homes=self._homes
        )
        world.network = Network(world)
        world.workload = Workload(world, settings.traffic)
        most = most_tolerated(settings.byzantine, validators)
        wanted = most if settings.villains is None else settings.villains
        villains = wanted if settings.byzantine else 0
        watch = Effects if settings.only_effects else Checks
        world.checks = watch(world, is_safe=villains <= most)
        villain_seats = sorted(world.random.sample(range(validators), villains))
        self.villains = tuple(f"villain{seat}" for seat in villain_seats)
        honest = [number for number in range(validators) if number not in villain_seats]
        for number in range(validators):
            if number in honest:
                world.add(SimulatedNode(world, f"node{number}", world.secrets[number]))
        for number in range(SPARES.get(settings.traffic, 0)):
            world.add(SimulatedNode(world, f"spare{number}", secret(FIRST_SPARE + number)))
        if settings.byzantine:
            join_cabal(world, settings.byzantine, villain_seats)
        self.acts = tuple(self._plan(seed).draw(settings.slots + settings.skip))
        self.faults = Faults(world, self._chosen())
        self.heal_slots = -1
        self.late_blocks = self.late_final = 0

    def close(self) -> None:
        """Remove what is on a disk."""
        for node in self.world.nodes:
            node.disk.crash()
        if self._homes is not None:
            shutil.rmtree(self._homes)

    def _chosen(self) -> list[Act]:
        only, skip = self.settings.only, self.settings.skip
        chosen = [act for number, act in enumerate(self.acts) if only is None or number in only]
        return [replace(act, slot=max(0, act.slot - skip)) for act in chosen]

    def _plan(self, seed: int) -> Plan:
        nodes, honest = ([node.name for node in nodes] for nodes in (self.world.nodes, self.world.honest))
        damages = BROKEN if self.settings.disk == "real" else FORGETFUL
        acts, people, keepers = (Random(f"{what} {seed}") for what in ("acts", "people", "keepers"))
        return Plan(acts, people, keepers, self.profile, nodes, honest, damages)

    def run(self) -> None:
        """Live through all of it.  Raises :class:`Violation`."""
        world = self.world
        for node in world.nodes:
            world.checks.watch(node)
        for node in world.nodes:
            node.start()
        for stranger in world.strangers:
            stranger.start()
        stalled_since, final_height = 0, 0
        censored_since, recorded = 0, 0
        halfway = (0, 0)
        for slot in range(self.settings.slots):
            world.draw_anew(slot + self.settings.skip)
            self.faults.each_slot()
            world.run_slots(1)
            world.checks.each_slot()
            if slot == world.half_slot:
                halfway = self._progress()
            if len(world.checks.final) > final_height or not self._should_move_on():
                stalled_since, final_height = slot, len(world.checks.final)
            elif world.checks.is_safe and slot - stalled_since > STALL_SLOTS_A_VALIDATOR * len(world.secrets):
                raise Violation(f"nothing new is final for {slot - stalled_since} slots, with honest links")
            if len(world.checks.final_transactions) > recorded or not self._should_record():
                censored_since, recorded = slot, len(world.checks.final_transactions)
            elif slot - censored_since > CENSORED_SLOTS_A_VALIDATOR * len(world.secrets):
                raise Violation(f"nothing that was promised is final for {slot - censored_since} slots")
        self.late_blocks, self.late_final = (
            after - before for after, before in zip(self._progress(), halfway, strict=True)
        )
        if not world.checks.forked:
            self._heal()
            self._let_jail()
            self._hear_everybody()
        world.checks.at_end()

    def _should_move_on(self) -> bool:
        """Whether finality should: links are good, and where clients rest, blocks pile up all the same."""
        if self.settings.faults not in CALM or self.world.network.is_cut:
            return False
        height, final_height = self._progress()
        return not self.profile.is_idle or height - final_height > PILED_BLOCKS_A_VALIDATOR * len(self.world.secrets)

    def _should_record(self) -> bool:
        """Whether something that clients wait for should become final: links are good, and most validators, too."""
        world = self.world
        is_calm = self.settings.faults in CALM and not world.network.is_cut
        return world.checks.is_safe and is_calm and world.workload.is_waiting

    def _progress(self) -> tuple[int, int]:
        """The height of the best head of an honest node, and up to where one of them is final."""
        chains = [node.engine.chain for node in self.world.honest]
        return max(chain.head.header.height for chain in chains), max(chain.finalized.height for chain in chains)

    def _heal(self) -> None:
        world = self.world
        self.faults.mend()
        self._let_rescue()
        world.run_slots(CALM_SLOTS)
        world.workload.offer_last(world.honest[0])
        before = max(node.engine.chain.finalized.height for node in world.honest)
        ahead_slots = max(0, longest_wait_slots(self.profile) - CALM_SLOTS)
        # Villains may have parted honest nodes for half the time; peers that failed for so long rest as long again.
        rest_slots = world.half_slot if self.villains else 0
        if not world.checks.is_safe:
            # Who lied signs again once the chain has outgrown its lies, and a stalled chain grows by heartbeats.
            rest_slots += REPENTANCE_BLOCKS * HEARTBEAT_SLOTS
        bound = HEAL_SLOTS + HEAL_SLOTS_A_VALIDATOR * world.genesis.batch + ahead_slots + rest_slots
        began_slot, left_slots, settling_slots = world.slot - CALM_SLOTS, bound, SETTLED_SLOTS
        while left_slots:
            world.workload.offer_again(world.honest[0])
            world.run_slots(1)
            world.checks.each_slot()
            self.heal_slots = world.slot - began_slot
            if self._is_healed(before):
                return
            if settling_slots and self._is_misled():
                settling_slots -= 1
            else:
                left_slots -= 1
        healed_slots, self.heal_slots = self.heal_slots, -1
        if not world.checks.is_safe:
            return
        world.workload.check_nothing_lost()
        if self._agrees(before):
            self.heal_slots = healed_slots
            return
        stands = "; ".join(
            f"{node.name} {node.engine.chain.head.header.id.hex()[:8]} at {node.engine.chain.head.header.height}, "
            f"final {node.engine.chain.finalized.height}"
            for node in world.honest
        )
        raise Violation(f"no agreement {healed_slots} slots after the faults: {stands} (final before: {before})")

    def _is_misled(self) -> bool:
        """Whether those that go by the right time are too few to make anything final."""
        world = self.world
        right = [node for node in world.honest if abs(node.now_ms - world.now_ms) <= AGREE_MS]
        return not all(self.faults.are_enough(right))

    def _let_rescue(self) -> None:
        rescue, left_slots = self.faults.rescue, RESCUE_SLOTS
        while rescue.is_under_way:
            if not left_slots:
                raise Violation("the chain does not go on from where people agreed")
            left_slots -= 1
            rescue.each_slot()
            self.world.run_slots(1)
            self.world.checks.each_slot()

    def _let_jail(self) -> None:
        """Time for whom evidence names to be jailed; where nodes crash and links fail, evidence may get lost."""
        world, count = self.world, len(self.world.checks.culprits())
        left_slots = JAIL_SLOTS_A_VALIDATOR * len(world.secrets) + REPENTANCE_BLOCKS * HEARTBEAT_SLOTS
        if self.settings.faults != "none":
            return
        while world.checks.jailed < count and left_slots:
            left_slots -= 1
            world.run_slots(1)
            world.checks.each_slot()
        if world.checks.is_safe and world.checks.jailed < count:
            raise Violation(f"{world.checks.jailed} of {count} validators that headers prove guilty are jailed")

    def _hear_everybody(self) -> None:
        """Whoever follows the rules is not silenced by anything that happened."""
        world = self.world
        since_slot, left_slots = world.slot, MUTE_SLOTS_A_VALIDATOR * len(world.nodes)
        while world.checks.is_safe and (mute := world.checks.mute(since_slot)):
            if not left_slots:
                raise Violation(f"{' '.join(mute)} made no block since slot {since_slot}")
            left_slots -= 1
            world.workload.offer(0, 1)
            world.run_slots(1)
            world.checks.each_slot()

    def _is_healed(self, before: int) -> bool:
        return self._agrees(before) and not self.world.workload.lost()

    def _agrees(self, before: int) -> bool:
        """Whether all have one head, and finality has moved on."""
        honest = self.world.honest
        heads = {node.engine.chain.head.header.id for node in honest}
        return len(heads) == 1 and min(node.engine.chain.finalized.height for node in honest) > before


def cast(settings: Settings, seed: int) -> Settings:
    """Who takes part, and what clients do, where that is left to the profile or to the seed."""
    profile, random = PROFILES[settings.faults], Random(f"cast {seed}")
    byzantine, traffic = settings.byzantine or profile.byzantine, settings.traffic or profile.traffic
    has_villains = profile.is_mixed and settings.villains is None and random.randrange(VILLAINS_IN) == 0
    drawn_villain, drawn_traffic = random.choice(STRANGEST), random.choice(MIXED_TRAFFIC)
    if not traffic:
        traffic = drawn_traffic if profile.is_mixed and not byzantine else FIRM_TRAFFIC[seed % len(FIRM_TRAFFIC)]
    if has_villains and not byzantine:
        byzantine = drawn_villain
    nodes = settings.nodes or profile.nodes[seed % len(profile.nodes)]
    disk = settings.disk
    if disk == "mixed":  # one of ten, and each time another of them
        disk = "real" if seed % 10 == seed // 10 % 10 else "memory"
    return replace(settings, nodes=nodes, byzantine=byzantine, traffic=traffic, disk=disk)


def memory_folder() -> str | None:
    """Where files are in memory, if there is such a place: what is synced there costs nothing."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def run_history(settings: Settings, seed: int) -> Outcome:
    """Run one seed and say what became of it; never raises for what the chain does."""
    started = time.process_time_ns()
    violation, is_damage = "", False
    with (
        mutated(MUTATIONS[settings.mutation]) if settings.mutation else nullcontext(),
        closing(History(settings, seed)) as history,
    ):
        world = history.world
        try:
            with shared():
                history.run()
        except Violation as found:
            violation, is_damage = str(found), not isinstance(found, BrokenInside)
        except Exception as error:  # noqa: BLE001  # whatever the engine raises is a finding of this seed
            name = crashed(error)
            violation = f"{name or 'the simulator'} crashes: {type(error).__name__}: {error}"
            is_damage = bool(name)
    if violation:
        world.timeline.say("world", f"VIOLATION: {violation}")
    checks = world.checks
    facts = {
        "transactions": world.workload.count,
        "refused": world.workload.refused,
        "messages": world.network.sent,
        "faults": history.faults.count,
        "crashes": sum(node.crashes for node in world.nodes),
        "forgot": sum(node.amnesias for node in world.nodes),
        "reorgs": sum(len(node.reorgs) for node in world.nodes),
        "restarts": history.faults.rescue.count,
        "strangers": len(world.strangers),
        "forked": checks.forked,
        "proven": len(checks.culprits(stored=True)),
        "jailed": checks.jailed,
        "late_blocks": history.late_blocks,
        "late_final": history.late_final,
        **{f"final {name}": count for name, count in checks.deeds.items()},
    }
    return Outcome(
        seed=seed,
        violation=violation,
        is_damage=is_damage,
        at_slot=world.slot,
        nodes=len(world.nodes),
        final_height=len(checks.final),
        heal_slots=history.heal_slots,
        history=world.timeline.digest(),
        cpu_ms=(time.process_time_ns() - started) // 1_000_000,
        facts=facts,
        culprits=checks.culprits(),
        villains=history.villains,
        timeline=tuple(world.timeline.lines),
    )
