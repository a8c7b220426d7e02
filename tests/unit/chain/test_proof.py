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

from chain.codec import decode, encode
from chain.errors import Reason, Refused
from chain.genesis import Genesis
from chain.headers import Header, sign_header
from chain.proof import MAX_FILE_BYTES, MAX_ITEMS, ProofFile, Run, Shown, check_evidence, count, encode_evidence, needed
from chain.proposals import AddValidator
from chain.registry import genesis_state
from chain.state import (
    RULES_KEY,
    VALIDATORS_KEY,
    Entry,
    Member,
    PolicyText,
    Rules,
    account_key,
    decode_entry,
    encode_entry,
    member_key,
    policy_key,
    record_key,
)
from chain.statetree import StateTree
from chain.validators import Seat, Validators, genesis_validators
from chain.votes import Votes
from tests.support.asking import answer
from tests.support.forge import Forge
from tests.support.proving import checked, proof_of
from tests.support.registered import City, changing_city, city_genesis, city_policy, lively_city
from tests.support.world import secret


@pytest.fixture(scope="module")
def city() -> City:
    return lively_city()


@pytest.fixture(scope="module")
def home(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city.write(tmp_path_factory.mktemp("city") / "home")


def test_checking_one_needs_no_node_and_no_database() -> None:
    code = "import sys, chain.proof, chain.prove; print(sorted({'trio', 'sqlite3'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "[]\n"


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
        ((headers, announced, path),) = fields[4]
        fields[4] = ((headers[:-1], announced, path),)

    assert "final" in refusal(home, altered(data, last_header))


def test_a_file_begins_with_its_format_its_network_and_its_key(city: City, home: Path) -> None:
    fields = decode(proof_of(home, city.ann.key), max_bytes=MAX_FILE_BYTES, max_items=MAX_ITEMS)
    assert fields[:3] == (1, city.genesis.id, city.ann.key)


def test_objections_come_with_the_numbers_of_their_records(city: City, home: Path) -> None:
    ((number, record),) = checked(home, proof_of(home, city.ann.key)).objections
    assert (number, record.points, record.counts) == (1, -20, False)


@pytest.mark.parametrize(
    ("at", "value", "what"),
    [
        (4, (), "the runs"),
        (4, (((), b"", b""),), "headers"),
        (4, (((b"",), b""),), "a run"),
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


# What the state is of: after the first change, with the second announced, with headers on both sides of it, after both.
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

    def without_announcement(fields: list[Any]) -> None:
        fields[4] = tuple((headers, b"", b"") for headers, _, _ in fields[4])

    assert len(decode(data, max_bytes=len(data), max_items=10_000)[4]) > 1
    for change in (without_handovers, without_announcement):
        assert refusal(home, altered(data, change))


@pytest.mark.parametrize(("run", "said"), [(0, "into force"), (-1, "make final what is up to height")])
def test_one_header_alone_proves_nothing(tmp_path: Path, run: int, said: str) -> None:
    city = changing_city(4)
    home = city.write(tmp_path / "home")

    def first_header_only(fields: list[Any]) -> None:
        runs = list(fields[4])
        (first, *_), announced, path = runs[run]
        runs[run] = (first,), announced, path
        fields[4] = tuple(runs)

    assert said in refusal(home, altered(proof_of(home, city.bob.key), first_header_only))


def test_one_validator_alone_hands_over_to_nobody(city: City) -> None:
    genesis, villain, own = city.genesis, secret(2), 1
    seat = Seat(villain.public, 1, 0, 0)
    takeover = Validators(genesis_validators(genesis).active, (seat,), 1, 2, ())
    entries: list[tuple[bytes, Entry | None]] = [
        (VALIDATORS_KEY, takeover),
        (RULES_KEY, Rules(1, genesis.policy.digest(), 0, 0)),
        (policy_key(1), PolicyText(genesis.policy.encode())),
        (account_key(villain.public), None),
        (member_key(villain.public), Member(villain.public, 1, 0, 0, 500, 0, 0, 0, ())),
    ]
    values = {key: encode_entry(entry) for key, entry in entries if entry is not None}
    tree = StateTree.build(values.items())
    headers: list[Header] = []
    for height in range(1, 25):
        headers.append(
            sign_header(
                villain,
                genesis.id,
                height=height,
                slot=own + 4 * height,
                parent=headers[-1].id if headers else bytes(32),
                mhg=height - 1,
                mhp=0,
                transaction_root=bytes(32),
                state_root=tree.root,
            )
        )
    raws = tuple(header.raw for header in headers)
    shown = tuple(
        Shown(key, int(key in values), values.get(key, b""), tree.prove(key).encode()) for key, _ in entries[1:]
    )
    announced = Run(raws, values[VALIDATORS_KEY], tree.prove(VALIDATORS_KEY).encode())
    for runs in ((announced,), (announced, Run(raws[1:], b"", b"")), (Run(raws, b"", b""),)):
        with pytest.raises(Refused) as caught:
            check_evidence(genesis, encode_evidence(genesis, ProofFile(villain.public, 1, runs, shown)))
        assert caught.value.reason in (Reason.CROSSES_FINALITY, Reason.NOT_EXECUTED)


def test_founders_who_were_cut_off_prove_nothing_final(tmp_path: Path) -> None:
    city = City()
    city.carried(AddValidator(secret(98).public, 1))
    city.carried(AddValidator(secret(99).public, 1))
    for _ in range(40):
        city.block()
    # In these slots the four founders lead, whether four or six validators take turns.
    together = city.height
    for slot in range(120, 240):
        if slot % 12 < 4:
            city.block(slot=slot)
    cut_off = city.blocks[together + 3 :]
    home = city.write(tmp_path / "home")
    assert answer(home, "head")["finalized_height"] <= together + 3
    assert len(answer(home, "validators")["validators"]) == 6

    first, key = cut_off[0], city.bob.key
    raws = tuple(block.header.raw for block in cut_off)
    shown = entries_of(city.state(first), key)
    data = encode_evidence(city.genesis, ProofFile(key, first.header.height, (Run(raws, b"", b""),), shown))
    assert "wrong_mhp" in refusal(home, data)


@pytest.mark.parametrize("case", ["right", "others", "others announced", "unknown"])
def test_a_set_counts_only_where_the_state_says_that_it_is_in_force(city: City, case: str) -> None:
    genesis, key = city.genesis, city.bob.key
    seats, other = genesis_validators(genesis).active, Seat(secret(99).public, 1, 0, 0)
    claims = {
        "right": Validators(seats, (), 0, 0, ()),
        "others": Validators((*seats, other), (), 0, 0, ()),
        "others announced": Validators(seats, (*seats, other), 1, 9, ()),
    }
    state = genesis_state(genesis)
    if case in claims:
        state[VALIDATORS_KEY] = encode_entry(claims[case])
    headers = headers_over(genesis, state)
    entries = entries_of(state, key)[1 if case == "unknown" else 0 :]
    data = encode_evidence(genesis, ProofFile(key, 2, (run_of(headers),), entries))
    if case == "right":
        assert check_evidence(genesis, data).header == headers[1]
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
    run = run_of(headers_over(genesis, state))
    proven = check_evidence(genesis, encode_evidence(genesis, ProofFile(city.ann.key, 2, (run,), entries)))
    assert [number for number, _ in proven.objections] == [1]


def headers_over(genesis: Genesis, state: dict[bytes, bytes]) -> list[Header]:
    """Eleven headers by the founders, whose votes make the first ones final, under one and the same state."""
    root = StateTree.build(state.items()).root
    votes, headers = Votes.genesis(genesis.validators, genesis.batch), list[Header]()
    for height in range(1, 12):
        headers.append(
            sign_header(
                secret(1 + height % 4),
                genesis.id,
                height=height,
                slot=height,
                parent=headers[-1].id if headers else bytes(32),
                mhg=max(0, height - 4),
                mhp=votes.mhp,
                transaction_root=bytes(32),
                state_root=root,
            )
        )
        votes = votes.apply(headers[-1])
    return headers


def run_of(headers: Sequence[Header]) -> Run:
    """A run that announces nothing."""
    return Run(tuple(header.raw for header in headers), b"", b"")


def entries_of(state: dict[bytes, bytes], key: bytes) -> tuple[Shown, ...]:
    """What a proof about ``key`` shows of a state."""
    tree = StateTree.build(state.items())
    return tuple(
        Shown(at, int(at in state), state.get(at, b""), tree.prove(at).encode())
        for at in needed(key, lambda at: decode_entry(at, state[at]) if at in state else None)
    )


# ------------------------------------------------------------------------------------------- counting from anywhere


def test_headers_of_two_branches_are_not_counted_together() -> None:
    genesis = city_genesis(city_policy())
    forge = Forge(genesis)
    one, other = forge.chain(3, slot=1), forge.chain(3, slot=2)
    mixed = [one[0].header, one[1].header, other[2].header]  # height follows on height, and slot on slot
    with pytest.raises(Refused) as caught:
        count(genesis, genesis.validators, mixed, None)
    assert caught.value.reason is Reason.UNKNOWN_PARENT


@settings(max_examples=25, deadline=None)
@given(gaps=st.lists(st.integers(1, 4), min_size=12, max_size=40), first=st.integers(0, 30))
def test_votes_counted_from_any_height_are_those_counted_from_the_genesis(gaps: list[int], first: int) -> None:
    genesis = city_genesis(city_policy())
    forge, parent, slot = Forge(genesis), None, 0
    headers = []
    for gap in gaps:
        slot += gap
        parent = forge.block(parent, slot=slot)
        headers.append(parent.header)
    first = min(first, len(headers) - 1)
    for last in range(first, len(headers)):
        whole = count(genesis, genesis.validators, headers[: last + 1], None)
        part = count(genesis, genesis.validators, headers[first : last + 1], None)
        assert part.finalized == max(whole.finalized, first)
        assert part.mhp == max(whole.mhp, first)
