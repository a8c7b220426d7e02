"""Prevotes, precommits and finality: the reference implementation's vectors, and each rule by itself."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import InvariantBroken, Reason
from chain.consensus.electorate import BATCH_MAX, NOTHING_DECIDED, WEIGHT_MAX, Decision, Gate, Joint
from chain.consensus.votecodec import encode_votes
from chain.consensus.votes import Voter, Votes
from tests.support.counting import (
    FIFTH,
    NEW,
    OLD,
    about_tip,
    changing,
    equal,
    genesis,
    grow,
    grow_attested,
    key,
    made,
    spoken,
)
from tests.support.refusals import refusal

VECTORS = Path(__file__).parents[3] / "vectors" / "bft"


def only(votes: tuple[int, ...]) -> int:
    (weight,) = votes
    return weight


def prevotes(votes: Votes) -> dict[int, int]:
    return {row.height: only(row.prevotes) for row in votes.rows}


def precommits(votes: Votes) -> dict[int, int]:
    return {row.height: only(row.precommits) for row in votes.rows}


# --- conformance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["4_validators_simple", "7_validators_partial_switch"])
def test_reference_vectors(name: str) -> None:
    vector: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    headers = [case["input"]["blockHeader"] for case in vector["testCases"]]
    keys = sorted({bytes.fromhex(header["generatorPublicKey"]) for header in headers})
    assert len(keys) == vector["config"]["activeValidators"]
    votes = Votes.genesis(tuple((each, 1) for each in keys), batch=len(keys))
    # The vectors list every height, also those that have left the window.
    all_prevotes: dict[int, int] = {}
    all_precommits: dict[int, int] = {}

    for header, case in zip(headers, vector["testCases"], strict=True):
        assert header["validatorMinHeightActive"] == 1
        count = votes.open(header["height"])
        assert count.carried_all() == header["maxHeightPrevoted"] == votes.mhp
        count.speak(bytes.fromhex(header["generatorPublicKey"]), header["maxHeightPreviouslyForged"])
        votes = count.close(key(header["height"]), NOTHING_DECIDED)

        all_prevotes |= prevotes(votes)
        all_precommits |= precommits(votes)
        expected = case["output"]
        assert votes.finalized == expected["finalizedHeight"]
        assert votes.mhp == expected["preVotedConfirmedHeight"]
        assert {str(h): n for h, n in all_prevotes.items() if n} == expected["preVotes"]
        assert {str(h): n for h, n in all_precommits.items() if n} == expected["preCommits"]


# --- how long finality takes, where nobody attests -------------------------------------------------------


def distances(count: int, is_up: Callable[[int], bool]) -> tuple[set[int], set[int]]:
    """Blocks and slots from a block to the one that makes it final, with leaders in turn for six rounds."""
    votes, blocks, slots = genesis(count), set(), set()
    slot_of = {0: 0}
    for slot in range(1, 6 * count + 1):
        if is_up(slot % count):
            grown = grow(votes, [slot % count])
            slot_of[grown.height] = slot
            for final in range(votes.finalized + 1, grown.finalized + 1):
                blocks.add(grown.height - final)
                slots.add(slot - slot_of[final])
            votes = grown
    return blocks, slots


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (4, 5), (7, 9), (10, 13), (21, 29)])
def test_with_leaders_in_turn_finality_comes_after_2q_minus_1_blocks(count: int, expected: int) -> None:
    quorum = 2 * count // 3 + 1
    assert expected == 2 * quorum - 1
    assert distances(count, lambda _: True) == ({expected}, {expected})


@pytest.mark.parametrize(("count", "worst"), [(4, 7), (7, 13), (10, 19), (21, 41)])
def test_with_a_third_down_it_takes_as_many_blocks_and_up_to_2n_minus_1_slots(count: int, worst: int) -> None:
    faulty = (count - 1) // 3
    quorum = 2 * count // 3 + 1
    everyone = range(count)
    choices = itertools.combinations(everyone, faulty) if count <= 10 else [range(i, i + 6) for i in range(16)]
    slots: set[int] = set()
    for down in choices:
        blocks, slots_of_choice = distances(count, lambda index, down=down: index not in down)  # type: ignore[misc]
        assert blocks == {2 * quorum - 1}
        slots |= slots_of_choice
    assert max(slots) == worst == 2 * count - 1


def test_three_validators_tolerate_no_fault() -> None:
    assert grow(genesis(3), [0, 1] * 50).finalized == 0
    assert grow_attested(genesis(3), [0, 1] * 50, speakers=[0, 1]).finalized == 0


def test_with_too_many_down_the_chain_grows_and_becomes_final_when_they_return() -> None:
    # given four validators, and two of them down for far longer than the window
    stalled = grow(grow(genesis(4), [0, 1, 2, 3] * 3), [0, 1] * 500)
    assert stalled.height == 1012
    assert stalled.finalized == 9
    # when one of them returns
    returned = grow(stalled, [2, 0, 1, 2, 0, 1])
    # then everything becomes final but the last few blocks
    assert returned.height - returned.finalized == 5


# --- and where everybody attests ---------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "down"), [(1, 0), (2, 0), (4, 0), (4, 1), (7, 2), (10, 3), (31, 10), (100, 33)])
def test_with_attestations_finality_comes_after_two_blocks_whoever_is_down(count: int, down: int) -> None:
    up = range(count - down)
    votes = genesis(count)
    for leader in itertools.islice(itertools.cycle(up), 20):
        votes = grow_attested(votes, [leader], up)
        assert votes.height - votes.finalized == min(votes.height, 2 if count > 1 else 1)


def test_it_takes_two_thirds_of_those_who_speak() -> None:
    for speakers, lag in (((0, 1, 2), 2), ((0, 1), 20)):
        votes = grow_attested(genesis(4), [0, 1] * 10, speakers)
        assert votes.height - votes.finalized == lag


def test_attestations_that_come_late_count_all_the_same() -> None:
    # given blocks whose attestations nobody carries until the fifth: none of them knew of anything prevoted
    votes = grow(genesis(4), [0, 0, 0, 0])
    late = [(speaker, height, height - 1) for height in (2, 3, 4) for speaker in (1, 2)]
    votes = made(votes, 0, 4, [(1, 1, 0), (2, 1, 0), *late])
    assert (votes.mhp, votes.finalized) == (4, 0)
    assert made(votes, 0, 5, [(1, 5, 4), (2, 5, 4)]).finalized == 4
    # and where each spoke of the last one only, having seen all of them
    at_once = made(grow(genesis(4), [0, 0, 0, 0]), 0, 4, [(1, 4, 0), (2, 4, 0)])
    assert (at_once.mhp, at_once.finalized) == (4, 0)
    assert made(at_once, 0, 5, [(1, 5, 4), (2, 5, 4)]).finalized == 4


def test_what_a_block_carries_is_in_its_mhp_and_its_own_vote_is_not() -> None:
    count = grow(genesis(4), [0]).open(2)
    for speaker in (1, 2):
        count.take(key(speaker), 1, 0)
    assert (count.mhp, count.carried_all(), count.mhp) == (0, 1, 1)
    count.speak(key(1), 1)
    votes = count.close(key(2), NOTHING_DECIDED)
    assert (votes.rows[0].mhp, votes.mhp) == (1, 1)


def test_who_attests_and_makes_the_next_block_votes_once_for_each() -> None:
    votes = made(grow(genesis(4), [0]), 1, 1, [(1, 1, 0)])
    assert prevotes(votes) == {2: 1, 1: 2}
    assert spoken(votes, 1) == 2


@pytest.mark.parametrize(
    ("vote", "reason"),
    [
        ((1, 0, 0), Reason.STALE_ATTESTATION),  # the genesis
        ((1, 3, 0), Reason.STALE_ATTESTATION),  # what is final
        ((1, 6, 0), Reason.STALE_ATTESTATION),  # the block that carries it
        ((1, 7, 0), Reason.STALE_ATTESTATION),  # what is to come
        ((9, 5, 0), Reason.NOT_VALIDATOR),  # a stranger
        ((0, 5, 4), Reason.ALREADY_SAID),  # it made that block
        ((1, 4, 3), Reason.ALREADY_SAID),  # it attested that block
        ((2, 5, 5), Reason.MALFORMED),  # of what it voted against
        ((2, 5, 3), Reason.CONTRADICTS_EARLIER_BLOCK),  # conceals what it said at 4
        ((2, 5, 4), None),
    ],
)
def test_what_a_block_can_carry(vote: tuple[int, int, int], reason: Reason | None) -> None:
    votes = grow_attested(genesis(4), [0, 0, 0, 0, 0], [0, 1, 2, 3])
    assert (votes.finalized, votes.height) == (3, 5)
    count = votes.open(6)
    speaker, height, mhg = vote
    found = count.refuse(key(speaker), height, mhg)
    assert (found.reason if found is not None else None) is reason
    assert refusal(count.take, key(speaker), height, mhg) is reason


def test_what_was_refused_was_not_counted() -> None:
    votes = grow_attested(genesis(4), [0, 0, 0, 0, 0], [0, 1, 2, 3])
    count = votes.open(6)
    for vote in ((9, 5, 0), (0, 5, 4), (2, 5, 3)):
        assert refusal(count.take, key(vote[0]), *vote[1:]) is not None
    count.carried_all()
    count.speak(key(0), 5)
    assert count.close(key(6), NOTHING_DECIDED) == grow(votes, [0])


def test_an_attestation_contradicts_none_of_its_speakers_statements_also_later_ones() -> None:
    # given that B spoke at 1 and 3 of a branch
    votes = made(grow(genesis(4), [0, 0, 0]), 0, 3, [(1, 1, 0), (1, 3, 1)])
    # then what it now says of 2 has to fit between the two
    for mhg in (0, 1):
        assert refusal(votes.open(5).take, key(1), 2, mhg) is Reason.CONTRADICTS_EARLIER_BLOCK
    # while a statement at 3 that knows of it lets it pass
    known = made(grow(genesis(4), [0, 0, 0]), 0, 3, [(1, 1, 0), (1, 3, 2)])
    assert refusal(known.open(5).take, key(1), 2, 1) is None
    assert refusal(known.open(5).take, key(1), 2, 0) is Reason.CONTRADICTS_EARLIER_BLOCK


def test_two_that_contradict_each_other_are_not_carried_by_one_block() -> None:
    count = grow(genesis(4), [0, 0, 0]).open(4)
    count.take(key(1), 2, 0)
    assert refusal(count.take, key(1), 3, 0) is Reason.CONTRADICTS_EARLIER_BLOCK
    assert refusal(count.take, key(1), 3, 2) is None


def test_a_header_that_contradicts_what_its_proposer_attested_is_refused() -> None:
    votes = made(grow(genesis(4), [0]), 0, 1, [(1, 1, 0)])
    assert refusal(votes.open(3).speak, key(1), 0) is Reason.CONTRADICTS_EARLIER_BLOCK
    assert refusal(votes.open(3).speak, key(1), 1) is None


# --- votes ---------------------------------------------------------------------------------------------


def test_a_chain_starts_with_everything_final_at_the_genesis_height() -> None:
    votes = genesis(4, height=100)
    assert (votes.height, votes.mhp, votes.mhpc, votes.finalized) == (100, 100, 100, 100)
    assert (votes.rows, votes.base, votes.bottom) == ((), 100, 101)
    grown = grow(votes, [0, 1, 2, 3, 0, 1])
    assert (grown.height, grown.mhp, grown.finalized, grown.base) == (106, 104, 101, 100)


def test_counting_a_block_leaves_the_parents_state_alone() -> None:
    parent = grow(genesis(4), [0, 1, 2])
    before = encode_votes(parent)
    left, right = grow(parent, [3]), grow_attested(parent, [0], [0, 1, 2, 3])
    assert encode_votes(parent) == before
    assert left != right


def test_only_the_next_height_can_be_counted() -> None:
    for height in (0, 2):
        with pytest.raises(InvariantBroken):
            genesis(4).open(height)


@pytest.mark.parametrize("mhg", [3, 4, 99])
def test_a_block_not_above_the_largest_height_its_proposer_generated_casts_no_votes(mhg: int) -> None:
    votes = made(grow(genesis(4), [0, 1]), 2, mhg)
    assert prevotes(votes) == {1: 2, 2: 1, 3: 0}
    assert votes.rows[0].said == {key(2): mhg}


def test_prevotes_reach_down_to_the_largest_height_generated() -> None:
    assert prevotes(made(grow(genesis(4), [0, 1, 2]), 3, 2)) == {1: 3, 2: 2, 3: 2, 4: 1}


def test_no_precommit_for_what_the_proposer_did_not_prevote() -> None:
    prevoted = grow(genesis(4), [0, 1, 2])
    assert prevoted.mhp == 1
    honest, was_on_another_branch = made(prevoted, 3, 0), made(prevoted, 3, 1)
    assert precommits(honest)[1] == 1
    assert precommits(was_on_another_branch)[1] == 0


def test_no_precommit_above_what_the_attested_block_knew_to_be_prevoted() -> None:
    # given block 4, which carries enough to prevote 3, and what D says of block 3, which did not know
    votes = made(grow(genesis(4), [0, 0, 0]), 0, 3, [(1, 3, 0), (2, 3, 0)])
    assert (votes.mhp, votes.rows[0].mhp, votes.rows[1].mhp) == (3, 3, 0)
    of_3, of_4 = made(votes, 0, 4, [(3, 3, 0)]), made(votes, 0, 4, [(3, 4, 0)])
    assert precommits(of_3)[3] == precommits(votes)[3]
    assert precommits(of_4)[3] == precommits(votes)[3] + 1


def test_each_height_is_precommitted_once() -> None:
    votes = grow(genesis(4), [0, 1, 2, 3, 3, 3, 3])
    assert precommits(votes)[1] == 1
    assert votes.voters[key(3)] == Voter(1, 2)


def test_the_window_is_three_batches() -> None:
    votes = grow(Votes.genesis(equal(2), batch=3), [0, 1] * 10)
    assert [row.height for row in votes.rows] == list(range(20, 11, -1))
    assert (votes.bottom, votes.row(12), votes.row(11), votes.row(21)) == (12, votes.rows[-1], None, None)


def test_what_left_the_window_is_not_attested() -> None:
    stalled = grow(genesis(4), [0, 1] * 10)
    assert (stalled.bottom, stalled.finalized) == (9, 0)
    count = stalled.open(21)
    assert refusal(count.take, key(2), 9, 0) is Reason.STALE_ATTESTATION  # with the block to come it leaves
    assert refusal(count.take, key(2), 10, 0) is None


def test_votes_weigh_what_their_validator_weighs() -> None:
    votes = Votes.genesis(((key(0), 5), (key(1), 1), (key(2), 0), (key(3), 1)), batch=4)
    assert votes.electorate.current.threshold == 5
    votes = grow(votes, [2, 1, 3])
    assert prevotes(votes) == {1: 2, 2: 2, 3: 1}
    assert grow(votes, [0]).mhp == 4
    assert refusal(votes.open(4).take, key(2), 3, 1) is Reason.NOT_VALIDATOR  # who weighs nothing has no say


@pytest.mark.parametrize(
    ("validators", "batch"),
    [
        ((), 4),
        (equal(5), 4),
        ((*equal(2), (key(0), 1)), 4),
        (((b"short", 1),), 4),
        (((key(0), -1), (key(1), 1)), 4),
        (((key(0), WEIGHT_MAX + 1),), 4),
        (((key(0), 0), (key(1), 0)), 4),
        (equal(1), 0),
        (equal(1), BATCH_MAX + 1),
    ],
)
def test_impossible_validator_sets_are_our_own_bug(validators: tuple[tuple[bytes, int], ...], batch: int) -> None:
    with pytest.raises(InvariantBroken):
        Votes.genesis(validators, batch)


def test_a_branch_refuses_what_contradicts_the_proposers_statements_in_its_window() -> None:
    votes = grow(genesis(4), [0, 1, 2, 0, 1, 2])

    def refused(votes: Votes, proposer: int, mhg: int) -> Reason | None:
        count = votes.open(votes.height + 1)
        count.carried_all()
        return refusal(count.speak, key(proposer), mhg)

    assert refused(votes, 0, 4) is None
    assert refused(votes, 0, 1) is Reason.CONTRADICTS_EARLIER_BLOCK
    assert refused(votes, 3, 0) is None
    assert refused(grow(votes, [1, 2] * 6), 0, 1) is None


# --- changing the validators ---------------------------------------------------------------------------


def phases(states: Sequence[Votes]) -> list[tuple[str, int]]:
    return [(type(each.electorate.phase).__name__, each.electorate.start) for each in states]


def test_a_set_that_was_decided_goes_through_gate_and_joint_phase() -> None:
    # block 8 carries what the newcomer says of 7; two blocks after the first joint one that is final
    states = changing()
    assert phases(states) == [("Gate", 1)] * 2 + [("Joint", 1)] * 3 + [("NoneType", 12)] * 2
    assert states[2].electorate.phase == Joint(9, states[0].electorate.phase.following)  # type: ignore[union-attr]
    assert [len(row.prevotes) for row in states[-1].rows] == [1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]


def test_a_newcomer_that_is_needed_is_waited_for() -> None:
    # given a set of which nobody speaks but one that stays
    following = ((key(0), 1), (key(7), 1), (key(8), 1), (key(9), 1))
    states = changing(following, speakers=OLD)
    assert set(phases(states)) == {("Gate", 1)}
    waiting = states[-1]
    assert waiting.spoke == frozenset(map(key, OLD))
    # when two of the newcomers speak, who would be enough, then the third is waited for
    two = made(waiting, 2, 11, [(7, 12, 0), (8, 12, 0)])
    assert (two.electorate.phase, two.spoke) == (waiting.electorate.phase, waiting.spoke | {key(7), key(8)})
    # and when all of them do
    heard = made(waiting, 2, 11, [(7, 12, 0), (8, 12, 0), (9, 12, 0)])
    assert heard.electorate.phase == Joint(14, waiting.electorate.phase.following)  # type: ignore[union-attr]
    assert (heard.spoke, heard.voters[key(7)]) == (frozenset(), Voter(14, 13))
    # then what they said before had no weight
    assert heard.mhp == grow(waiting, [2]).mhp
    assert {row.height: row.prevotes for row in heard.rows if row.height < 13} == {
        row.height: row.prevotes for row in grow(waiting, [2]).rows if row.height < 13
    }


def test_guests_speak_from_the_block_after_the_decision_on() -> None:
    states = changing(((key(0), 1), (key(7), 1), (key(8), 1)))
    assert refusal(states[1].open(8).take, key(7), 6, 0) is Reason.NOT_VALIDATOR
    assert refusal(states[1].open(8).take, key(7), 7, 0) is None


def test_a_joint_block_needs_the_thresholds_of_both_sets() -> None:
    following = ((key(0), 1), (key(7), 1), (key(8), 1))
    gate = changing(following, speakers=OLD)[1]
    joint = made(gate, 2, 7, [(7, 7, 0), (8, 7, 0)])
    assert joint.electorate.phase == Joint(9, gate.electorate.phase.following)  # type: ignore[union-attr]
    first = grow_attested(joint, [0], OLD)
    # when the old four speak of the first joint block, then it is not prevoted
    old_alone = grow_attested(first, [1], OLD)
    assert old_alone.row(9).prevotes == (4, 1)  # type: ignore[union-attr]
    assert old_alone.mhp == 8
    # and when two of the new three do as well, it is
    both = grow_attested(first, [1], [*OLD, 7, 8])
    assert both.row(9).prevotes == (4, 3)  # type: ignore[union-attr]
    assert both.mhp == 9


def test_one_that_stays_keeps_its_votes_and_a_newcomer_votes_for_nothing_below_the_first_joint_block() -> None:
    gate, joint = changing()[1:3]
    assert all(joint.voters[key(each)].min_active == 1 for each in OLD)
    assert gate.voters.keys() == set(map(key, OLD))
    assert joint.voters[key(7)] == Voter(9, 8)
    grown = grow_attested(joint, [0], OLD)
    spoke = made(grown, 1, spoken(grown, 1), [*about_tip(grown, [0]), (7, 9, 7)])
    assert spoke.row(9).prevotes[1] == 3  # type: ignore[union-attr]
    assert {row.prevotes for row in spoke.rows if row.height < 8} == {(4,)}


def test_who_left_may_still_attest_what_it_had_a_say_about() -> None:
    states = changing(speakers=[0, 1, 2, 7])
    alone = next(each for each in states if each.electorate.start > 1)
    start = alone.electorate.start
    assert key(3) in alone.voters
    known = [row.height for row in alone.rows if key(3) in row.electorate.speakers and row.height > alone.finalized]
    assert known
    for height in known:
        assert refusal(alone.open(start).take, key(3), height, height - 1) is None
    after = grow_attested(alone, [0], [0, 1, 2, 7])
    assert refusal(after.open(start + 1).take, key(3), start, start - 1) is Reason.NOT_VALIDATOR
    # and is forgotten when the next change finds no such block
    long_after = grow_attested(alone, [0, 1, 2, 7] * 3, NEW)
    again = grow_attested(long_after, [0], NEW, Decision(equal(4)))
    changed = grow_attested(again, [1, 2], [*NEW, 3])
    assert isinstance(changed.electorate.phase, Joint)
    assert changed.voters[key(3)] == Voter(changed.electorate.phase.since, changed.electorate.phase.since - 1)


def test_one_that_left_and_is_a_guest_now_casts_no_votes_for_what_it_had_a_say_about() -> None:
    alone = next(each for each in changing(speakers=[0, 1, 2, 7]) if each.electorate.start > 1)
    decided = grow_attested(alone, [0], NEW, Decision(equal(4)))
    waiting = grow_attested(decided, [1], NEW)
    assert isinstance(waiting.electorate.phase, Gate)
    assert key(3) in waiting.voters
    silent = about_tip(waiting, NEW)
    last = spoken(waiting, 3)
    speaking = sorted([*silent, (3, waiting.height, last)], key=lambda vote: vote[0])
    states = [made(waiting, 2, waiting.height, carried) for carried in (silent, speaking)]
    assert [each.electorate.phase is not None and type(each.electorate.phase) for each in states] == [Gate, Joint]
    without, votes = ([(row.prevotes, row.precommits) for row in each.rows] for each in states)
    assert votes == without


def test_who_is_jailed_and_released_votes_for_nothing_from_before() -> None:
    jailed = next(each for each in changing((*equal(3), (key(3), 0))) if each.electorate.start > 1)
    released = grow_attested(grow_attested(jailed, [0], OLD, Decision(equal(4))), [1, 2], OLD)
    assert isinstance(released.electorate.phase, Joint)
    since = released.electorate.phase.since
    assert released.voters[key(3)] == Voter(since, since - 1)


def test_a_gate_lapses_and_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.consensus.electorate.GATE_BLOCKS", 4)
    states = changing(((key(7), 1), (key(8), 1)))
    assert phases(states) == [("Gate", 1)] * 4 + [("NoneType", 1)] * 3
    assert states[-1].electorate == genesis(4).electorate
    assert states[-1].spoke == frozenset()
    again = grow(states[-1], [2], Decision(FIFTH))
    assert again.electorate.phase == Gate(13, changing()[0].electorate.phase.following)  # type: ignore[union-attr]


def test_nothing_is_decided_while_a_set_is_under_way() -> None:
    for state in changing()[:3]:
        assert state.electorate.phase is not None
        count = state.open(state.height + 1)
        assert refusal(count.close, bytes(32), Decision(equal(2))) is Reason.WRONG_DECISION


def test_the_weights_of_every_height_are_those_in_force_there() -> None:
    heavy = tuple((key(index), 10) for index in OLD)
    states = changing(heavy)
    last = grow_attested(states[-1], [2], OLD)
    assert {row.height: row.prevotes for row in last.rows if row.height < 13} == (
        dict.fromkeys(range(2, 8), (4,)) | {8: (4,)} | dict.fromkeys((9, 10, 11), (4, 40)) | {12: (40,)}
    )


def test_every_set_that_had_a_say_is_known_as_long_as_its_blocks_are() -> None:
    states = changing()
    assert [len(each.known_sets) for each in states] == [2] * 7
    assert len(grow_attested(states[-1], [0, 1, 2, 7] * 4, NEW).known_sets) == 1


# --- tags ----------------------------------------------------------------------------------------------

TAG, OTHER_TAG = bytes(15) + b"1", bytes(15) + b"2"


def test_what_a_validator_said_before_it_lost_its_signing_state_counts_no_more() -> None:
    # given that D's loss is recorded in block 3
    votes = grow_attested(genesis(4), [0, 1], [0, 1, 2])
    lost = grow_attested(votes, [2], [0, 1, 2], Decision(tags=((key(3), TAG),)))
    assert lost.electorate.tag(key(3)) == (key(3), TAG, 3)
    # then nothing that it said about the blocks before is carried, nor about blocks that do not show the loss final
    count = lost.open(4)
    assert refusal(count.take, key(3), 2, 0) is Reason.WRONG_TAG
    assert refusal(count.take, key(3), 3, 0) is Reason.WRONG_TAG
    grown = grow_attested(lost, [0], [0, 1, 2])
    assert refusal(grown.open(5).take, key(3), 4, 0) is Reason.WRONG_TAG
    final = grow_attested(grown, [1], [0, 1, 2])
    assert final.mhpc == 3
    assert refusal(final.open(6).take, key(3), 4, 0) is Reason.WRONG_TAG
    assert refusal(final.open(6).take, key(3), 5, 0) is None


def test_a_tag_can_be_renewed_again() -> None:
    votes = grow_attested(genesis(4), [0, 1], [0, 1, 2])
    votes = grow_attested(votes, [2], [0, 1, 2], Decision(tags=((key(3), TAG),)))
    votes = grow_attested(votes, [0], [0, 1, 2], Decision(tags=((key(3), OTHER_TAG),)))
    assert votes.electorate.tags == ((key(3), OTHER_TAG, 4),)
    votes = grow_attested(votes, [1], [0, 1, 2])
    assert refusal(votes.open(6).take, key(3), 5, 0) is Reason.WRONG_TAG


# --- whether a block helps ------------------------------------------------------------------------------


def test_a_block_is_worth_making_while_it_can_help_or_tells_that_somebody_is_back() -> None:
    votes = genesis(4)
    assert votes.is_worth_a_block(key(0))  # a young branch: nobody can tell
    votes = grow(votes, [1, 0] * 4)
    assert not votes.is_worth_a_block(key(0))  # two of four, for two rounds
    assert votes.is_worth_a_block(key(2))  # who comes back says so
    assert grow(votes, [2]).is_worth_a_block(key(0))
    # and who attests was heard as well
    assert made(votes, 1, 7, [(3, 8, 0)]).is_worth_a_block(key(0))


def test_while_joint_it_takes_enough_of_both_sets() -> None:
    following = ((key(7), 1), (key(8), 1))
    gate = changing(following, speakers=OLD)[-1]
    joint = made(gate, 2, 11, [(7, 12, 0), (8, 12, 0)])
    assert isinstance(joint.electorate.phase, Joint)
    assert joint.is_worth_a_block(key(0))
    assert not grow_attested(joint, [0, 1, 2, 3] * 2, OLD).is_worth_a_block(key(0))
