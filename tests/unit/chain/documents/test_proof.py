"""Proofs of where a member stands: what they show, and what is noticed of one that was tampered with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.base.codec import decode, encode
from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.ballots import EMPTY
from chain.consensus.electorate import NOTHING_DECIDED, Decision, Electorate
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.documents.proof import (
    MAX_FILE_BYTES,
    MAX_ITEMS,
    Counted,
    ProofFile,
    Run,
    Shown,
    check_evidence,
    encode_evidence,
    follow,
    needed,
)
from chain.register.entries import Entry, Member, PolicyText, Rules
from chain.register.registry import genesis_state
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import RULES_KEY, VALIDATORS_KEY, account_key, member_key, policy_key, record_key
from chain.register.validators import Seat, genesis_validators, weights_of
from chain.tree.statetree import StateTree
from tests.support.asking import answer
from tests.support.forge import Forge
from tests.support.proving import checked, proof_of
from tests.support.registered import City, changing_city, city_genesis, city_policy, lively_city
from tests.support.running import DEADLINE_S
from tests.support.world import secret


@pytest.fixture(scope="module")
def city() -> City:
    return lively_city()


@pytest.fixture(scope="module")
def home(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city.write(tmp_path_factory.mktemp("city") / "home")


def test_checking_one_needs_no_node_and_no_database() -> None:
    code = "import sys, chain.documents.proof, chain.documents.prover; print({'trio', 'sqlite3'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert found.stdout == "set()\n"


def test_any_changed_byte_is_noticed(city: City, home: Path) -> None:
    data = proof_of(home, city.ann.key)
    for at in range(0, len(data), 29):
        with pytest.raises(Refused):
            checked(home, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    for length in range(0, len(data), 997):
        with pytest.raises(Refused):
            checked(home, data[:length])


def altered(data: bytes, change: Callable[[list[Any]], None]) -> bytes:
    """The file with its fields changed, encoded again."""
    fields = list(decode(data, max_bytes=len(data), max_items=10_000))
    change(fields)
    return encode(tuple(fields))


def refusal(home: Path, data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        checked(home, data)
    return str(caught.value)


def test_nothing_that_counts_can_be_left_out(city: City, home: Path) -> None:
    data = proof_of(home, city.ann.key)
    fields = decode(data, max_bytes=len(data), max_items=10_000)
    *others, objection = fields[5]

    def leave_out(number: int) -> Callable[[list[Any]], None]:
        def change(fields: list[Any]) -> None:
            fields[5] = tuple(entry for at, entry in enumerate(fields[5]) if at != number)

        return change

    assert "other validators were in force" in refusal(home, altered(data, leave_out(0)))
    for number in range(1, len(others)):
        assert "is missing" in refusal(home, altered(data, leave_out(number)))
    assert objection[0][:1] == b"d"
    assert "0 of 1 open objections" in refusal(home, altered(data, leave_out(len(others))))

    def last_header(fields: list[Any]) -> None:
        ((headers, ballots),) = fields[4]
        fields[4] = ((headers[:-1], ballots[:-1]),)

    assert "final" in refusal(home, altered(data, last_header))


def test_a_file_begins_with_its_format_its_network_and_its_key(city: City, home: Path) -> None:
    fields = decode(proof_of(home, city.ann.key), max_bytes=MAX_FILE_BYTES, max_items=MAX_ITEMS)
    assert fields[:3] == (2, city.genesis.id, city.ann.key)


def test_objections_come_with_the_numbers_of_their_records(city: City, home: Path) -> None:
    ((number, record),) = checked(home, proof_of(home, city.ann.key)).objections
    assert (number, record.points, record.counts) == (1, -20, False)


@pytest.mark.parametrize(
    ("at", "value", "what"),
    [
        (4, (), "the runs"),
        (4, (((), ()),), "headers"),
        (4, (((b"",),),), "a run"),
        (4, (((b"",), ()),), "ballots"),
        (5, (), "the entries"),
        (5, ((b"", 0, b""),), "an entry"),
    ],
)
def test_a_file_of_another_shape_is_refused(city: City, home: Path, at: int, value: object, what: str) -> None:
    data = proof_of(home, city.ann.key)
    assert f"{what} is not an array" in refusal(home, altered(data, lambda fields: fields.__setitem__(at, value)))
    assert "a proof is not an array" in refusal(home, altered(data, lambda fields: fields.append(value)))
    assert "a proof is not an array" in refusal(home, altered(data, lambda fields: fields.pop()))


# ------------------------------------------------------------------------------------- validators that change


# What the state is of: in the gate of the second change, in its joint phase, after it.
@pytest.mark.parametrize("blocks", [0, 4, 6, 9, 13, 20])
def test_sets_of_validators_are_handed_over(tmp_path: Path, blocks: int) -> None:
    city = changing_city(blocks)
    home = city.write(tmp_path / "home")
    data = proof_of(home, city.bob.key)
    proven = checked(home, data)
    assert proven.header == city.blocks[answer(home, "tiers")["as_of_height"] - 1].header
    assert proven.member is None

    def without_handovers(fields: list[Any]) -> None:
        fields[4] = (fields[4][-1],)

    assert len(decode(data, max_bytes=len(data), max_items=10_000)[4]) > 1
    assert refusal(home, altered(data, without_handovers))


def test_what_is_decided_is_read_from_ballots_that_the_headers_commit_to(tmp_path: Path) -> None:
    city = changing_city(4)
    home = city.write(tmp_path / "home")

    def another_ballot(fields: list[Any]) -> None:
        ((headers, (_, *ballots)), *others) = fields[4]
        fields[4] = ((headers, (EMPTY.raw, *ballots)), *others)

    assert "wrong_votes_root" in refusal(home, altered(proof_of(home, city.bob.key), another_ballot))


@pytest.mark.parametrize(("run", "said"), [(0, "ends before what it decided is final"), (-1, "make final what is up")])
def test_one_header_alone_proves_nothing(tmp_path: Path, run: int, said: str) -> None:
    city = changing_city(4)
    home = city.write(tmp_path / "home")

    def first_header_only(fields: list[Any]) -> None:
        runs = list(fields[4])
        (header, *_), (ballot, *_) = runs[run]
        runs[run] = (header,), (ballot,)
        fields[4] = tuple(runs)

    assert said in refusal(home, altered(proof_of(home, city.bob.key), first_header_only))


def test_runs_are_in_order_and_each_decides_something(tmp_path: Path) -> None:
    city = changing_city(4)
    home = city.write(tmp_path / "home")
    data = proof_of(home, city.bob.key)

    def twice(fields: list[Any]) -> None:
        first, *others = fields[4]
        fields[4] = (first, first, *others)

    assert refusal(home, altered(data, twice))
    # a run in which nothing is decided leads nowhere
    idle = run_of(city.blocks[:1])
    assert "ends before" in refusal(home, altered(data, lambda fields: fields.__setitem__(4, (idle, *fields[4]))))


def test_one_validator_alone_hands_over_to_nobody(city: City) -> None:
    # given one founder that writes a ballot by which it is the only validator, and a long branch of its own
    genesis, villain = city.genesis, secret(2)
    takeover = genesis_validators(genesis)._replace(
        active=(Seat(villain.public, 1, 0, 0),), voting=((villain.public, 1),)
    )
    entries: list[tuple[bytes, Entry | None]] = [
        (VALIDATORS_KEY, takeover),
        (RULES_KEY, Rules(1, genesis.policy.digest(), 0, 0)),
        (policy_key(1), PolicyText(genesis.policy.encode())),
        (account_key(villain.public), None),
        (member_key(villain.public), Member(villain.public, 1, 0, 0, 500, 0, 0, 0, ())),
    ]
    values = {key: encode_entry(entry) for key, entry in entries if entry is not None}
    tree = StateTree.build(values.items())
    forge, blocks = Forge(genesis), list[Block]()
    for number in range(24):
        decision = Decision(((villain.public, 1),)) if not blocks else NOTHING_DECIDED
        parent = blocks[-1] if blocks else None
        blocks.append(forge.block(parent, slot=1 + 4 * number, decision=decision, state_root=tree.root))
    assert {block.header.proposer for block in blocks} == {villain.public}
    shown = tuple(Shown(key, int(key in values), values.get(key, b""), tree.prove(key).encode()) for key, _ in entries)
    for runs in ((run_of(blocks),), (run_of(blocks), run_of(blocks[1:])), (run_of(blocks[1:]),)):
        with pytest.raises(Refused) as caught:
            check_evidence(genesis, encode_evidence(genesis, ProofFile(villain.public, 1, runs, shown)))
        assert caught.value.reason in (Reason.MALFORMED, Reason.CROSSES_FINALITY, Reason.NOT_EXECUTED)


@pytest.mark.parametrize("case", ["right", "others", "others decided", "one jailed", "another tag", "unknown"])
def test_a_set_counts_only_where_the_state_says_that_it_is_in_force(city: City, case: str) -> None:
    genesis, key = city.genesis, city.bob.key
    seats, other = genesis_validators(genesis).active, Seat(secret(99).public, 1, 0, 0)
    right = genesis_validators(genesis)
    weights = weights_of((*seats, other))
    claims = {
        "right": right,
        "others": right._replace(active=(*seats, other), voting=weights),
        "others decided": right._replace(following=weights, decided_height=1),
        "one jailed": right._replace(active=(seats[0]._replace(is_jailed=1), *seats[1:])),
        "another tag": right._replace(tags=((seats[0].key, bytes(range(16))),)),
    }
    state = genesis_state(genesis)
    if case in claims:
        state[VALIDATORS_KEY] = encode_entry(claims[case])
    blocks = blocks_over(genesis, state)
    entries = entries_of(state, key)[1 if case == "unknown" else 0 :]
    data = encode_evidence(genesis, ProofFile(key, 2, (run_of(blocks),), entries))
    if case == "right":
        assert check_evidence(genesis, data).header == blocks[1].header
        return
    with pytest.raises(Refused) as caught:
        check_evidence(genesis, data)
    assert caught.value.reason is Reason.NOT_VALIDATOR


def test_records_of_others_are_not_the_members(city: City) -> None:
    genesis, ann = city.genesis, secret(60).public
    neighbour = ann[:-1] + bytes([ann[-1] ^ 1])
    others = record_key(neighbour, 7)
    state = city.state(city.blocks[-1])
    state |= {others: state[record_key(ann, 1)], VALIDATORS_KEY: genesis_state(genesis)[VALIDATORS_KEY]}
    path = StateTree.build(state.items()).prove(others)
    entries = (*entries_of(state, city.ann.key), Shown(others, 1, state[others], path.encode()))
    run = run_of(blocks_over(genesis, state))
    proven = check_evidence(genesis, encode_evidence(genesis, ProofFile(city.ann.key, 2, (run,), entries)))
    assert [number for number, _ in proven.objections] == [1]


def blocks_over(genesis: Genesis, state: dict[bytes, bytes]) -> list[Block]:
    """Eleven blocks by the founders, whose votes make the first ones final, under one and the same state."""
    root = StateTree.build(state.items()).root
    forge, blocks = Forge(genesis), list[Block]()
    for _ in range(11):
        blocks.append(forge.block(blocks[-1] if blocks else None, state_root=root))
    return blocks


def run_of(blocks: Sequence[Block]) -> Run:
    """A run of consecutive blocks."""
    return Run(tuple(block.header.raw for block in blocks), tuple(block.ballot.raw for block in blocks))


def entries_of(state: dict[bytes, bytes], key: bytes) -> tuple[Shown, ...]:
    """What a proof about ``key`` shows of a state."""
    tree = StateTree.build(state.items())
    return tuple(
        Shown(at, int(at in state), state.get(at, b""), tree.prove(at).encode())
        for at in needed(key, lambda at: decode_entry(at, state[at]) if at in state else None)
    )


# ------------------------------------------------------------------------------------------- counting from anywhere


def counted(genesis: Genesis, electorate: Electorate, blocks: Sequence[Block]) -> Counted:
    """The last of some consecutive blocks, the first of which has ``electorate`` in force."""
    *_, last = follow(genesis, electorate, [(block.header, block.ballot) for block in blocks])
    return last


def test_headers_of_two_branches_are_not_counted_together() -> None:
    genesis = city_genesis(city_policy())
    forge = Forge(genesis)
    one, other = forge.chain(3, slot=1), forge.chain(3, slot=2)
    mixed = [one[0], one[1], other[2]]  # height follows on height, and slot on slot
    with pytest.raises(Refused) as caught:
        counted(genesis, Blockchain(genesis).electorate, mixed)
    assert caught.value.reason is Reason.UNKNOWN_PARENT


GAPS = st.tuples(st.integers(1, 4), st.sets(st.integers(0, 3)), st.integers(0, 2))


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(GAPS, min_size=4, max_size=24))
def test_votes_counted_from_any_height_are_those_counted_from_the_genesis(
    steps: list[tuple[int, set[int], int]],
) -> None:
    # given blocks that carry what some say of the one before, or of one up to two below that
    genesis = city_genesis(city_policy())
    forge, slot, blocks = Forge(genesis), 0, list[Block]()
    said: set[tuple[int, int]] = set()
    for gap, speakers, late in steps:
        slot += gap
        carrying = []
        for speaker in sorted(speakers) if blocks else ():
            votes, about = forge.votes(blocks[-1]), blocks[-1 - min(late, len(blocks) - 1)]
            row = votes.row(about.header.height)
            key, height = secret(speaker + 1).public, about.header.height
            mhg = votes.spoken_up_to(key)
            is_first = mhg < height > votes.finalized
            if row is not None and key not in row.said and is_first and (speaker, height) not in said:
                said.add((speaker, height))
                carrying.append(forge.attest(about, speaker, mhg=mhg))
        blocks.append(forge.block(blocks[-1] if blocks else None, slot=slot, carrying=carrying))
    first = Blockchain(genesis).electorate
    whole = [each.votes for each in follow(genesis, first, [(block.header, block.ballot) for block in blocks])]
    for base in range(len(blocks)):
        part = counted(genesis, first, blocks[base:]).votes
        assert part.finalized == max(whole[-1].finalized, base)
        assert part.mhp == max(whole[-1].mhp, base)
