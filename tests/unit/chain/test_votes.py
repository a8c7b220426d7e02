"""Prevotes, precommits and finality: the reference implementation's vectors, and each rule by itself."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain import codec
from chain.errors import InvariantBroken, Reason, Refused
from chain.votes import BATCH_MAX, WEIGHT_MAX, Ballot, Votes, contradicting, is_equivocation

VECTORS = Path(__file__).parents[2] / "vectors" / "bft"


def key(index: int) -> bytes:
    return index.to_bytes(32, "big")


def equal(count: int) -> list[tuple[bytes, int]]:
    """``count`` validators of weight 1."""
    return [(key(index), 1) for index in range(count)]


def genesis(count: int, height: int = 0) -> Votes:
    return Votes.genesis(equal(count), batch=count, height=height)


def grow(votes: Votes, proposers: Iterable[int]) -> Votes:
    """Honest blocks by ``proposers``, each with the largest height that it has generated in the window."""
    for proposer in proposers:
        mhg = next((info.height for info in votes.infos if info.proposer == key(proposer)), 0)
        block = Ballot(votes.height + 1, key(proposer), mhg, votes.mhp)
        assert not votes.contradicts(block)
        votes = votes.apply(block)
    return votes


def prevotes(votes: Votes) -> dict[int, int]:
    return {info.height: info.prevotes for info in votes.infos}


def precommits(votes: Votes) -> dict[int, int]:
    return {info.height: info.precommits for info in votes.infos}


# --- conformance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["4_validators_simple", "7_validators_partial_switch"])
def test_reference_vectors(name: str) -> None:
    vector: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    headers = [case["input"]["blockHeader"] for case in vector["testCases"]]
    keys = sorted({bytes.fromhex(header["generatorPublicKey"]) for header in headers})
    assert len(keys) == vector["config"]["activeValidators"]
    votes = Votes.genesis([(key, 1) for key in keys], batch=len(keys))
    # The vectors list every height, also those that have left the window.
    all_prevotes: dict[int, int] = {}
    all_precommits: dict[int, int] = {}

    for header, case in zip(headers, vector["testCases"], strict=True):
        assert header["validatorMinHeightActive"] == 1
        assert header["maxHeightPrevoted"] == votes.mhp
        votes = votes.apply(
            Ballot(
                height=header["height"],
                proposer=bytes.fromhex(header["generatorPublicKey"]),
                mhg=header["maxHeightPreviouslyForged"],
                mhp=header["maxHeightPrevoted"],
            )
        )

        all_prevotes |= prevotes(votes)
        all_precommits |= precommits(votes)
        expected = case["output"]
        assert votes.finalized == expected["finalizedHeight"]
        assert votes.mhp == expected["preVotedConfirmedHeight"]
        assert {str(h): n for h, n in all_prevotes.items() if n} == expected["preVotes"]
        assert {str(h): n for h, n in all_precommits.items() if n} == expected["preCommits"]


# --- how long finality takes ---------------------------------------------------------------------------


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


def test_with_too_many_down_the_chain_grows_and_becomes_final_when_they_return() -> None:
    # given four validators, and two of them down for far longer than the window
    stalled = grow(grow(genesis(4), [0, 1, 2, 3] * 3), [0, 1] * 500)
    assert stalled.height == 1012
    assert stalled.finalized == 9
    # when one of them returns
    returned = grow(stalled, [2, 0, 1, 2, 0, 1])
    # then everything becomes final but the last few blocks
    assert returned.height - returned.finalized == 5


# --- votes ---------------------------------------------------------------------------------------------


def test_a_chain_starts_with_everything_final_at_the_genesis_height() -> None:
    votes = genesis(4, height=100)
    assert (votes.height, votes.mhp, votes.mhpc, votes.finalized) == (100, 100, 100, 100)
    assert votes.infos == ()
    grown = grow(votes, [0, 1, 2, 3, 0, 1])
    assert (grown.height, grown.mhp, grown.finalized) == (106, 104, 101)


def test_applying_a_block_leaves_the_parents_state_alone() -> None:
    parent = grow(genesis(4), [0, 1, 2])
    before = parent.encode()
    left, right = grow(parent, [3]), grow(parent, [0])
    assert parent.encode() == before
    assert left != right


def test_only_the_next_height_can_be_applied() -> None:
    for height in (0, 2):
        with pytest.raises(InvariantBroken):
            genesis(4).apply(Ballot(height, key(0), 0, 0))


@pytest.mark.parametrize("mhg", [3, 4, 99])
def test_a_block_not_above_the_largest_height_its_proposer_generated_casts_no_votes(mhg: int) -> None:
    votes = grow(genesis(4), [0, 1]).apply(Ballot(3, key(2), mhg, 0))
    assert prevotes(votes) == {1: 2, 2: 1, 3: 0}


def test_a_block_by_a_stranger_casts_no_votes() -> None:
    votes = grow(genesis(4), [0, 1]).apply(Ballot(3, key(9), 0, 0))
    assert prevotes(votes) == {1: 2, 2: 1, 3: 0}


def test_prevotes_reach_down_to_the_largest_height_generated() -> None:
    votes = grow(genesis(4), [0, 1, 2]).apply(Ballot(4, key(3), 2, 1))
    assert prevotes(votes) == {1: 3, 2: 2, 3: 2, 4: 1}


def test_no_precommit_for_what_the_proposer_did_not_prevote() -> None:
    prevoted = grow(genesis(4), [0, 1, 2])
    assert prevoted.mhp == 1
    honest = prevoted.apply(Ballot(4, key(3), 0, 1))
    was_on_another_branch = prevoted.apply(Ballot(4, key(3), 1, 1))
    assert precommits(honest)[1] == 1
    assert precommits(was_on_another_branch)[1] == 0


def test_each_height_is_precommitted_once() -> None:
    votes = grow(genesis(4), [0, 1, 2, 3, 3, 3, 3])
    assert precommits(votes)[1] == 1
    assert votes.voters[3].largest_precommit == 2


def test_the_window_is_three_batches() -> None:
    votes = grow(Votes.genesis(equal(2), batch=3), [0, 1] * 10)
    assert [info.height for info in votes.infos] == list(range(20, 11, -1))


def test_votes_weigh_what_their_validator_weighs() -> None:
    votes = Votes.genesis([(key(0), 5), (key(1), 1), (key(2), 0), (key(3), 1)], batch=4)
    assert votes.threshold(1) == 5
    votes = grow(votes, [2, 1, 3])
    assert prevotes(votes) == {1: 2, 2: 2, 3: 1}
    assert grow(votes, [0]).mhp == 4


# --- changing the validators ---------------------------------------------------------------------------


def test_a_validator_that_stays_keeps_its_votes_and_a_new_one_starts_at_the_next_height() -> None:
    votes = grow(genesis(4), [0, 1, 2, 3, 0, 1])
    changed = votes.with_validators([*equal(3), (key(7), 1)], height=7)
    assert changed.voters[:3] == votes.voters[:3]
    assert (changed.voters[3].min_active_height, changed.voters[3].largest_precommit) == (7, 6)
    grown = grow(changed, [7])
    assert prevotes(grown) == prevotes(votes) | {7: 1}


def test_one_that_comes_back_is_new_and_votes_for_nothing_of_its_first_time() -> None:
    votes = grow(genesis(4), [0, 1, 2, 0])
    away = grow(votes.with_validators(equal(3), height=5), [1])
    back = away.with_validators(equal(4), height=6)
    assert back.voters[3].min_active_height == 6
    assert prevotes(grow(back, [3])) == prevotes(away) | {6: 1}


def test_a_block_keeps_the_weights_and_the_threshold_of_its_height() -> None:
    votes = grow(genesis(4), [0, 1, 2])
    heavy = votes.with_validators([(key(index), 10) for index in range(4)], height=4)
    assert [heavy.threshold(height) for height in (1, 3, 4)] == [3, 3, 27]
    grown = grow(heavy, [3])
    assert prevotes(grown) == {1: 4, 2: 3, 3: 2, 4: 10}
    assert precommits(grown)[1] == 1
    assert grown.mhp == 2


def test_sets_are_forgotten_with_the_last_block_of_theirs() -> None:
    votes = grow(genesis(2), [0, 1]).with_validators([(key(0), 2), (key(1), 1)], height=3)
    assert len(grow(votes, [0, 1] * 2).sets) == 2
    assert len(grow(votes, [0, 1] * 3).sets) == 1


def test_the_same_validators_again_change_nothing() -> None:
    votes = grow(genesis(4), [0, 1])
    assert votes.with_validators(equal(4), height=3) is votes


def test_the_last_of_two_changes_before_one_block_counts() -> None:
    votes = genesis(4).with_validators(equal(3), height=1).with_validators(equal(2), height=1)
    assert votes.sets == Votes.genesis(equal(2), batch=4).sets


@pytest.mark.parametrize("height", [2, 4])
def test_validators_are_set_for_the_next_height_only(height: int) -> None:
    with pytest.raises(InvariantBroken):
        grow(genesis(4), [0, 1]).with_validators(equal(3), height)


@pytest.mark.parametrize(
    ("validators", "batch"),
    [
        ([], 4),
        (equal(5), 4),
        ([*equal(2), (key(0), 1)], 4),
        ([(b"short", 1)], 4),
        ([(key(0), -1), (key(1), 1)], 4),
        ([(key(0), WEIGHT_MAX + 1)], 4),
        ([(key(0), 0), (key(1), 0)], 4),
        (equal(1), 0),
        (equal(1), BATCH_MAX + 1),
    ],
)
def test_impossible_validator_sets_are_our_own_bug(validators: list[tuple[bytes, int]], batch: int) -> None:
    with pytest.raises(InvariantBroken):
        Votes.genesis(validators, batch)


# --- equivocation --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    proposer: bytes = key(0)
    height: int = 5
    mhg: int = 3
    mhp: int = 2
    slot: int = 8
    id: bytes = b"1"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"height": 6, "mhg": 5}, False),  # the next block on the branch
        ({"height": 4, "mhg": 5, "mhp": 3}, False),  # on a shorter branch with more prevotes
        ({"height": 5, "mhg": 5, "mhp": 3}, False),  # at the same height of a better branch
        ({}, True),  # two blocks that differ elsewhere
        ({"height": 5, "mhg": 5}, True),  # two blocks of one height, the second owning up to the first
        ({"height": 4, "mhg": 5}, True),  # moved to a shorter branch without more prevotes
        ({"height": 6, "mhg": 4}, True),  # conceals the first
        ({"height": 6, "mhg": 0}, True),  # conceals more
        ({"height": 7, "mhg": 5, "mhp": 1}, True),  # moved to a branch with fewer prevotes
    ],
)
def test_contradicting_headers(changes: dict[str, int], expected: bool) -> None:
    first = Header()
    second = replace(first, slot=12, id=b"2", **changes)  # type: ignore[arg-type]
    assert contradicting(first, second) is expected
    assert contradicting(second, first) is expected
    assert is_equivocation(first, second) is expected
    assert is_equivocation(second, first) is expected


def test_of_two_headers_with_the_same_mhg_the_one_with_more_prevotes_is_the_later() -> None:
    first = Header(height=5, mhg=6, mhp=2)
    assert not contradicting(first, Header(height=4, mhg=6, mhp=3, id=b"2"))
    assert not contradicting(first, Header(height=4, mhg=6, mhp=2, id=b"2"))
    assert contradicting(first, Header(height=5, mhg=6, mhp=2, id=b"2"))


def test_two_blocks_for_one_slot_are_evidence_even_where_they_do_not_contradict() -> None:
    first = Header(height=5, mhg=3, mhp=2)
    second = Header(height=5, mhg=5, mhp=3, id=b"2")
    assert not contradicting(first, second)
    assert is_equivocation(first, second)


def test_one_header_and_headers_of_two_validators_are_no_evidence() -> None:
    assert not is_equivocation(Header(), Header())
    assert not is_equivocation(Header(), Header(proposer=key(1), id=b"2"))


def test_a_branch_refuses_what_contradicts_the_proposers_latest_block_in_its_window() -> None:
    votes = grow(genesis(4), [0, 1, 2, 0, 1, 2])
    assert not votes.contradicts(Ballot(7, key(0), 4, votes.mhp))
    assert votes.contradicts(Ballot(7, key(0), 1, votes.mhp))
    assert not votes.contradicts(Ballot(7, key(3), 0, votes.mhp))
    forgotten = grow(votes, [1, 2] * 6)
    assert not forgotten.contradicts(Ballot(19, key(0), 1, forgotten.mhp))


def test_a_violation_of_safety_names_a_third() -> None:
    # given four validators of which two vote on both sides of a partition, hiding the other side's blocks
    def branch(proposers: list[int], first_slot: int) -> tuple[Votes, list[Header]]:
        votes, headers = genesis(4), []
        for turn in range(9):
            grown = grow(votes, [proposers[turn % 3]])
            info, slot = grown.infos[0], first_slot + turn
            headers.append(Header(info.proposer, info.height, info.mhg, info.mhp, slot, id=bytes([slot])))
            votes = grown
        return votes, headers

    left, left_headers = branch([0, 2, 3], first_slot=1)
    right, right_headers = branch([1, 3, 2], first_slot=101)
    # when both sides finalize
    assert left.finalized > 0
    assert right.finalized > 0
    # then their headers convict exactly those two
    pairs = itertools.combinations(left_headers + right_headers, 2)
    assert {a.proposer for a, b in pairs if is_equivocation(a, b)} == {key(2), key(3)}


# --- the durable snapshot ------------------------------------------------------------------------------


def snapshot() -> Votes:
    votes = grow(genesis(4), [0, 1, 2, 3, 0, 1, 2])
    return grow(votes.with_validators([*equal(3), (key(7), 3)], height=8), [7, 0, 1])


@pytest.mark.parametrize("votes", [genesis(4), genesis(4, height=9), snapshot(), grow(genesis(4), [0, 1, 2] * 9)])
def test_a_snapshot_brings_back_the_same_state(votes: Votes) -> None:
    again = Votes.decode(votes.encode())
    assert again == votes
    assert grow(again, [0, 1]) == grow(votes, [0, 1])


def test_the_largest_snapshot_can_be_read_back() -> None:
    heaviest = [(b"\xff" * 30 + index.to_bytes(2, "big"), WEIGHT_MAX) for index in range(BATCH_MAX)]
    votes = Votes.genesis(heaviest, BATCH_MAX, height=2**63)
    for _ in range(3 * BATCH_MAX + 1):
        votes = votes.apply(Ballot(votes.height + 1, heaviest[0][0], codec.U64_MAX, votes.mhp))
        heaviest = [*heaviest[1:], heaviest[0]]
        votes = votes.with_validators(heaviest, votes.height + 1)
    assert Votes.decode(votes.encode()).sets == votes.sets


FIELDS = ("batch", "height", "mhp", "mhpc", "mhpc_before", "window", "sets", "voters")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch", 0),
        ("batch", BATCH_MAX + 1),
        ("batch", 2),  # smaller than its validators
        ("height", 9),  # lower than the window's blocks reach
        ("mhp", 11),  # prevoted beyond the tip
        ("mhpc", 9),  # precommitted beyond the prevoted
        ("mhpc_before", 9),  # it never falls
        ("window", ()),
        ("window", ((key(0), 0, 0, 0, 0),)),  # has left the older validators behind
        ("window", ((key(0), 0, 0, 0, 0),) * 13),
        ("window", ((b"short", 0, 0, 0, 0),) * 10),
        ("window", ((key(0), -1, 0, 0, 0),) * 10),
        ("window", ((key(0), 0, -1, 0, 0),) * 10),
        ("window", ((key(0), 0, 0, -1, 0),) * 10),
        ("window", ((key(0), 0, 0, 0, -1),) * 10),
        ("window", ((key(0), 0, 0, 0),) * 10),
        ("window", ((key(0), 0, 0, 0, 0, 0),) * 10),
        ("sets", ()),
        ("sets", ((1,),)),
        ("sets", ((1, ((key(0), 1),), 0),)),
        ("sets", ((1, ()),)),
        ("sets", ((1, ((key(0),),)),)),
        ("sets", ((1, ((key(0), 1, 0),)),)),
        ("sets", ((8, ((key(0), 1),)),)),  # does not reach the window's end
        ("sets", ((1, ((key(0), 1),)), (1, ((key(0), 1),)))),  # two start together
        ("sets", ((12, ((key(0), 1),)), (1, ((key(0), 1),)))),  # starts after the next block
        ("sets", ((1, ((key(0), 1), (key(0), 1))),)),
        ("sets", ((1, ((key(0), 0),)),)),
        ("voters", ()),
        ("voters", ((1, 0),) * 3),
        ("voters", ((1, 0),) * 5),
        ("voters", ((1,),) * 4),
        ("voters", ((1, 0, 0),) * 4),
        ("voters", ((0, 0),) * 4),
        ("voters", ((12, 11),) * 4),
        ("voters", ((2, 0),) * 4),
        ("voters", ((1, 11),) * 4),
    ],
)
def test_bytes_that_no_state_encodes_to_are_refused(field: str, value: Any) -> None:
    fields = dict(zip(FIELDS, codec.decode(snapshot().encode(), max_bytes=2**20), strict=True))
    fields[field] = value
    with pytest.raises(Refused) as refusal:
        Votes.decode(codec.encode(tuple(fields.values())))
    assert refusal.value.reason is Reason.MALFORMED


def test_only_a_state_in_which_all_is_final_may_have_no_blocks() -> None:
    fields = dict(zip(FIELDS, codec.decode(genesis(4, height=9).encode(), max_bytes=2**20), strict=True))
    fields["mhpc_before"] = 8
    with pytest.raises(Refused):
        Votes.decode(codec.encode(tuple(fields.values())))


@pytest.mark.parametrize("data", [b"", b"\x90", b"\xff", codec.encode((1, 2, 3))])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        Votes.decode(data)


def test_a_block_is_worth_making_while_it_can_help_or_tells_that_somebody_is_back() -> None:
    four = [bytes([n]) * 32 for n in range(4)]
    votes = Votes.genesis([(key, 1) for key in four], 4)
    assert votes.is_worth_a_block(four[0])  # a young branch: nobody can tell
    heights = dict.fromkeys(four, 0)
    for height in range(1, 9):
        key = four[height % 2]
        votes = votes.apply(Ballot(height, key, heights[key], votes.mhp))
        heights[key] = height
    assert not votes.is_worth_a_block(four[0])  # two of four, for two rounds
    assert votes.is_worth_a_block(four[2])  # who comes back says so
    votes = votes.apply(Ballot(9, four[2], 0, votes.mhp))
    assert votes.is_worth_a_block(four[0])
