"""Every rule that can be taken out of the model, and what is then done instead."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


def _knob(instead: str) -> bool:
    return field(default=False, metadata={"instead": instead})


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in force; ``Rules()`` is the protocol, and each knob that is set breaks one rule of it.

    ``lapse`` is after how many blocks a gate lapses (128 in the protocol; histories here are shorter), ``window`` over
    how many blocks votes are counted.
    """

    lapse: int = 5
    window: int = 60

    # counting
    low_quorum: bool = _knob("2W/3 of the weight is enough, not one more")
    no_hnp: bool = _knob("a speaker precommits also at and below heights that it voted for on another branch")
    late_above_mhp: bool = _knob("a late attestation precommits also above the mhp that it shows")
    latest_only: bool = _knob("a statement is compared with its speaker's latest on the branch only")
    contradictions_taken: bool = _knob("a statement that contradicts another one on its branch counts too")
    precommit_again: bool = _knob("a speaker precommits again what it precommitted")
    prevote_again: bool = _knob("a speaker prevotes again what it prevoted")
    precommit_unprevoted: bool = _knob("what has no quorum of prevotes is precommitted too")
    reach_back: bool = _knob("a newcomer votes also for heights below its first one")
    either_set: bool = _knob("in a joint phase the threshold of one of both sets is enough")
    claimed_mhp: bool = _knob("a block shows as mhp what its proposer likes")

    # what an honest validator says
    mhg_per_branch: bool = _knob("mhg is the largest height spoken at on the same branch, not on any")
    mhg_per_kind: bool = _knob("headers and attestations each have an mhg of their own")
    any_order: bool = _knob("(mhp, height) need not grow from one statement to the next")

    # changes of the set
    today: bool = _knob("the next set is in force as soon as its decision is final (the rule before this one)")
    no_joint: bool = _knob("the next set is alone in force as soon as it is through the gate")
    joint_fixed: bool = _knob("a joint phase ends after two blocks, final or not")
    joint_till_decision: bool = _knob("a joint phase ends once the decision is final")
    joint_till_before: bool = _knob("a joint phase ends once the last block before it is final")
    overlapping: bool = _knob("a change decided in a joint phase begins its own before the first is over")
    joint_lapses: bool = _knob("a joint phase lapses as a gate does")
    no_gate: bool = _knob("the joint phase begins at once, whether anyone of the next set was heard or not")
    guests_vote: bool = _knob("the weight of guests counts before the joint phase, towards the threshold of before")
    gate_by_weight: bool = _knob(
        "a threshold of the next set opens its gate, also while some who gain weight were not heard"
    )
    gate_stays: bool = _knob("a gate never lapses")
    jail_at_once: bool = _knob("who is jailed has no weight from the next block on")

    # lost signing state
    resumes: bool = _knob("who lost its signing state goes on under its tag, from what its branch knows of it")
    old_tag_counts: bool = _knob("statements with the tag of before count after the loss is recorded, too")
    late_old_tag: bool = _knob(
        "an attestation of before a loss counts also when a block above the record of it carries it"
    )
    votes_per_tag: bool = _knob("a statement is compared only with those of its own tag before it counts")
    tag_not_final: bool = _knob("a new tag speaks as soon as the block that records the loss is there")
    tag_counter: bool = _knob("a tag is a counter, which a second loss can use again")
    evidence_across_tags: bool = _knob("statements with different tags are evidence against their speaker")


KNOBS: dict[str, str] = {one.name: one.metadata["instead"] for one in fields(Rules) if "instead" in one.metadata}
"""What is done instead of each rule, by the name of its knob."""
