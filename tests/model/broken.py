"""For each rule that can be taken out: where that shows first, or why it costs nothing while the other rules hold."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.knobs import Rules
from tests.model.search import Finding, search


@dataclass(frozen=True, slots=True)
class Shown:
    """Without the rules of ``knobs``, a history of ``kind`` with ``n`` validators goes wrong, first that of ``seed``.

    ``what`` is how, as in :class:`tests.model.search.Finding`.
    """

    knobs: tuple[str, ...]
    what: str
    kind: str
    n: int
    seed: int

    @property
    def rules(self) -> Rules:
        """The rules without those."""
        return Rules(**dict.fromkeys(self.knobs, True))

    def first(self, seeds: range) -> Finding | None:
        """The first of these histories in which it shows."""
        return search(self.kind, self.n, seeds, self.rules, self.what).finding


SHOWN = (
    Shown(("low_quorum",), "conflict", "static", 4, 1),
    Shown(("no_hnp",), "conflict", "static", 4, 16),
    Shown(("late_above_mhp",), "conflict", "static", 4, 16),
    Shown(("latest_only",), "conflict", "static", 4, 508),
    Shown(("contradictions_taken",), "conflict", "static", 4, 13),
    Shown(("precommit_again",), "conflict", "static", 4, 16),
    Shown(("prevote_again",), "conflict", "static", 4, 13),
    Shown(("either_set",), "conflict", "busy", 4, 16),
    Shown(("claimed_mhp",), "conflict", "static", 4, 213),
    Shown(("mhg_per_branch",), "conflict", "static", 4, 16),
    Shown(("mhg_per_branch",), "convicted", "static", 4, 0),
    Shown(("mhg_per_kind",), "conflict", "static", 4, 48),
    Shown(("mhg_per_kind",), "convicted", "static", 4, 0),
    Shown(("any_order",), "conflict", "static", 4, 13),
    Shown(("any_order",), "convicted", "static", 4, 0),
    Shown(("today",), "conflict", "busy", 4, 54),
    Shown(("no_joint",), "conflict", "busy", 4, 26),
    Shown(("joint_fixed",), "conflict", "busy", 4, 27),
    Shown(("joint_till_decision",), "conflict", "busy", 4, 49),
    Shown(("overlapping",), "conflict", "busy", 4, 34),
    Shown(("joint_lapses",), "conflict", "busy", 4, 5303),
    Shown(("guests_vote",), "conflict", "busy", 4, 3),
    Shown(("no_gate",), "stalled", "heal", 4, 0),
    Shown(("gate_by_weight",), "stalled", "heal", 4, 0),
    Shown(("gate_stays",), "stalled", "heal", 4, 0),
    Shown(("resumes",), "conflict", "lost", 4, 5),
    Shown(("resumes",), "convicted", "lost", 4, 0),
    Shown(("tag_not_final",), "conflict", "lost", 4, 43),
    Shown(("tag_counter",), "convicted", "lost", 4, 314),
    Shown(("evidence_across_tags",), "convicted", "lost", 4, 146),
    Shown(("votes_per_tag", "old_tag_counts"), "conflict", "lost", 4, 3365),
)
"""Found by looking at the seeds from 0 on; the same history is fine with all rules in force."""

ARGUED = {
    "precommit_unprevoted": (
        "What is precommitted is not above the mhp that the speaker shows. That one is prevoted, and all that it may "
        "precommit are its ancestors: whoever finalized another branch would have to leave the same quorum behind."
    ),
    "reach_back": (
        "A height below a newcomer's first one counts by the set in force there, in which it has no weight. One that "
        "sat there before has, but its votes follow from its mhg and are compared with what it said, as ever."
    ),
    "joint_till_before": (
        "The last block before a joint phase is final under the old set. That settles the decision, the gate and the "
        "start for every branch, and from there on each of them needs the new set's threshold at every height. (The "
        "phase could end a block earlier than it does.)"
    ),
    "jail_at_once": (
        "Sound where those jailed are Byzantine. Not where they are honest: with one Byzantine of seven, three honest "
        "ones jailed on one branch only let both branches become final, as a history written by hand shows."
    ),
    "old_tag_counts": (
        "An honest one never speaks under its old tag again. A Byzantine one has two voices, but what it says is "
        "compared with all that it said on the branch, under any tag."
    ),
    "late_old_tag": (
        "It is carried only while its height is not final, so before the record of the loss is, and the new tag speaks "
        "only then. It counts like one that was carried just before the record."
    ),
    "votes_per_tag": (
        "The old tag is silent from the record of the loss on, and the new one until that is final, so no height that "
        "can still become final gets votes under both. Together with old_tag_counts it costs safety."
    ),
}
"""Rules whose absence no random history showed, and why that is no wonder."""
SEARCHED = {
    "precommit_unprevoted": ("static", 4),
    "reach_back": ("busy", 4),
    "joint_till_before": ("busy", 4),
    "jail_at_once": ("jail", 7),
    "old_tag_counts": ("lost", 4),
    "late_old_tag": ("lost", 4),
    "votes_per_tag": ("lost", 4),
}
"""In which kind of histories, with how many validators."""
