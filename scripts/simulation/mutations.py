"""Rules broken on purpose, one at a time: a simulator that does not notice proves nothing.

Each mutation replaces parts of the chain in this process for one run, and says in which runs it should be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from scripts.simulation import patches
from scripts.simulation.patches import Patch


@dataclass(frozen=True, slots=True)
class Mutation:
    """``what`` is broken; ``faults``, ``byzantine``, ``villains`` and ``traffic`` are the runs that should show it.

    ``villains`` None is as many as are tolerated, ``traffic`` "" what the seed chooses, ``slots`` None as many as
    usual.  ``is_inside`` marks what has no effect within a run: only a look inside a node,
    or a comparison with a copy of the rule, shows it.
    """

    what: str
    make: Callable[[], Sequence[Patch]]
    faults: str = "all"
    byzantine: str = ""
    nodes: int | None = None
    villains: int | None = None
    is_inside: bool = False
    traffic: str = ""
    slots: int | None = None


@contextmanager
def mutated(mutation: Mutation) -> Iterator[None]:
    """Break the rule, and mend it afterwards."""
    with ExitStack() as stack:
        for target, name, value in mutation.make():
            stack.enter_context(patch.object(target, name, value))
        yield


MUTATIONS: dict[str, Mutation] = {
    "no-contradiction-check": Mutation(
        "a block may contradict its proposer's latest", patches.no_contradiction_check, "none", "repeats"
    ),
    "double-prevotes": Mutation("prevotes count twice", patches.double_prevotes, "none", "betrays", 7),
    "forget-mhg": Mutation("a restarted validator forgets what it generated", patches.forget_mhg),
    "cross-finality": Mutation("a reorg may cross what is final", patches.cross_finality, "none", "rewrites", 4, 3),
    "skip-signing-store": Mutation(
        "the signing state is not stored before a block is sent", patches.skip_signing_store
    ),
    "announce-first": Mutation("a block is sent before it is durable", patches.announce_first, "crashes"),
    "accept-future": Mutation("blocks of the future are taken at once", patches.accept_future, "none", "floods"),
    "sign-twice": Mutation("a validator does not mind having signed a slot", patches.sign_a_slot_twice),
    "forget-finality": Mutation("a restarted node forgets what was final", patches.forget_finality, "crashes"),
    "majority": Mutation("more than half of the votes is enough", patches.majority_is_enough, "none", "equivocates", 7),
    "amnesiac-signs": Mutation("a validator that lost its signing state signs at once", patches.amnesiac_signs),
    "any-state-root": Mutation(
        "state roots are not compared", patches.any_state_root, "none", "floods", is_inside=True
    ),
    "drop-abandoned": Mutation("transactions of abandoned blocks are dropped", patches.drop_abandoned),
    "unbounded-waiting": Mutation(
        "any number of blocks may wait for their slot", patches.unbounded_waiting, "none", "floods"
    ),
    "evidence-twice": Mutation(
        "one offence jails as often as somebody brings the evidence",
        patches.evidence_twice,
        "none",
        "equivocates",
        4,
        traffic="registry",
        is_inside=True,
    ),
    "no-joint-phase": Mutation(
        "validators that were decided on are in force without those before them",
        patches.no_joint_phase,
        "setfork",
        "bridges",
    ),
    "any-turn": Mutation("a validator makes blocks in any slot", patches.any_validator_leads, "none", "usurps", 4),
    "jailed-weigh": Mutation(
        "who is jailed keeps its weight and its slots, empty", patches.jailed_weigh, "none", "relays", 7, slots=260
    ),
    "any-newer-final": Mutation(
        "a validator that lost its signing state signs after any newer final block", patches.any_newer_final
    ),
    "any-attestation": Mutation(
        "signatures of attestations are not checked", patches.any_attestation, "none", "impersonates", 4
    ),
    "carried-unchecked": Mutation(
        "signatures of what a block carries are not checked", patches.carried_unchecked, "none", "impersonates", 4
    ),
    "any-restart": Mutation("signatures of a restart are not checked", patches.any_restart, "none", "impersonates", 4),
    "any-slot": Mutation(
        "a block may be of a slot before its parent's",
        patches.any_slot,
        "idle",
        "hoards",
        4,
        traffic="ratings",
        slots=480,
    ),
    "any-height": Mutation("a block may be of any height", patches.any_height, "none", "garbles", 4),
    "jailed-lead": Mutation("who is jailed goes on", patches.jailed_lead, "none", "equivocates", 4, traffic="registry"),
    "struck-counts": Mutation(
        "the points of a struck record still count", patches.struck_counts, traffic="registry", is_inside=True
    ),
    "no-deadlines": Mutation(
        "nothing happens when a deadline passes", patches.no_deadlines, traffic="registry", is_inside=True
    ),
    "objection-counts": Mutation(
        "the points of a record count while an objection is open",
        patches.objection_counts,
        traffic="registry",
        is_inside=True,
    ),
    "precommit-again": Mutation(
        "a validator precommits a block again and again", patches.precommit_again, "network", "clones", 4
    ),
    # What comes from afar for the first time in 1,024 slots is not final only where finality stalls.
    "no-lateness": Mutation(
        "announcements of long ago are passed on",
        patches.no_lateness,
        "strangers",
        "silent",
        4,
        2,
        slots=1_100,
        is_inside=True,
    ),
    "no-quota": Mutation(
        "any number of blocks of one slot is passed on", patches.no_quota, "none", "floods", is_inside=True
    ),
    "old-news": Mutation("announcements of what is final are passed on", patches.old_news, "strangers", is_inside=True),
    "any-ids": Mutation("a block is announced with any transactions", patches.any_ids, "strangers"),
    "any-leader": Mutation("anybody announces blocks", patches.any_leader, "strangers", is_inside=True),
    "any-signature": Mutation("signatures of headers are not checked", patches.any_signature, "strangers"),
    "blame-for-clocks": Mutation(
        "what is too early or too late is blamed on its sender", patches.blame_for_clocks, "clocks"
    ),
    "no-blame": Mutation("whoever sends what nobody sends is not blamed", patches.nobody_is_blamed, "strangers"),
    "serve-more": Mutation("a reply holds more blocks than were asked for", patches.serve_more),
}
