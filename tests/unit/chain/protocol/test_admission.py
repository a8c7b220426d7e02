"""What gets in, what is dropped without blame, and what its sender pays for; and that each costs little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chain.base.codec import U64_MAX, encode
from chain.base.errors import Disposition, InvariantBroken, Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.attestations import Attestation
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import Decision
from chain.consensus.headers import verify_header
from chain.content.actions import Enrol
from chain.content.blocks import MAX_BLOCK_TRANSACTIONS, Block
from chain.content.transactions import VerifiedTransaction
from chain.protocol import admission
from chain.protocol.admission import (
    CLOCK_DISPARITY_MS,
    MAX_ANNOUNCED_PER_SLOT,
    MAX_ATTESTED_AHEAD,
    MAX_COUNTED,
    MAX_LATE_SLOTS,
    Admission,
    AdmittedAnnouncement,
    AdmittedClaim,
    Blamed,
    Dropped,
    Known,
    PlausibleAnnouncement,
    Quota,
    ReadBatch,
    rejected,
)
from chain.protocol.credentials import sign_credential
from chain.protocol.messages import (
    MAX_ANNOUNCEMENT_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_TRANSACTIONS,
    Announcement,
    RawItems,
    Status,
)
from tests.support.forge import Forge, blockchain
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(4)
SLOT = 50


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


@pytest.fixture
def chain() -> Blockchain:
    return Blockchain(GENESIS)


@pytest.fixture
def door() -> Admission:
    return Admission(GENESIS)


def start_ms(slot: int) -> int:
    return GENESIS.slot_start_ms(slot)


def enrolments(count: int) -> list[VerifiedTransaction]:
    return [Actor(GENESIS, 50 + number).sign(Enrol()) for number in range(count)]


def encoded(block: Block, ids: Sequence[bytes] | None = None) -> bytes:
    named = [item.id for item in block.transactions] if ids is None else ids
    return Announcement(block.header.raw, block.ballot.raw, tuple(named)).encode()


def judge(door: Admission, chain: Blockchain, block: Block, now_ms: int | None = None) -> object:
    """What becomes of an announcement that arrives in its slot, or at ``now_ms``, once its signature is checked."""
    now_ms = start_ms(block.header.slot) if now_ms is None else now_ms
    plausible = door.announcement(encoded(block), chain, now_ms)
    if not isinstance(plausible, PlausibleAnnouncement):
        return plausible
    return door.admit(plausible, verify_header(plausible.header, GENESIS.id))


def why(outcome: object) -> tuple[type, Reason]:
    """Whether something was dropped or blamed, and for what."""
    assert isinstance(outcome, Dropped | Blamed)
    return type(outcome), outcome.refusal.reason


# -------------------------------------------------------------------------------------------------- announcements


def test_a_good_announcement_passes_all_stages(door: Admission, chain: Blockchain, forge: Forge) -> None:
    block = forge.block(None, enrolments(3))
    ids = tuple(item.id for item in block.transactions)
    plausible = door.announcement(encoded(block), chain, start_ms(1))
    assert plausible == PlausibleAnnouncement(block.header, block.ballot, ids)
    admitted = door.admit(plausible, verify_header(plausible.header, GENESIS.id))
    assert admitted == AdmittedAnnouncement(block.header, block.ballot, ids)


def test_what_was_not_admitted_is_of_another_type() -> None:
    # the engine's events hold admitted things alone, so that a type checker finds what goes past the door
    stages = [PlausibleAnnouncement, AdmittedAnnouncement, AdmittedClaim, ReadBatch]
    assert not any(issubclass(one, other) for one in stages for other in stages if one is not other)


def hostile(forge: Forge) -> dict[str, tuple[bytes, Reason]]:
    block = forge.block(None, enrolments(2), slot=SLOT)
    raw, ballot, ids = block.header.raw, block.ballot.raw, [item.id for item in block.transactions]
    other_ballot = make_ballot((), Decision(barred=((),))).raw
    return {
        "garbage": (b"\xc1garbage", Reason.MALFORMED),
        "nothing": (b"", Reason.MALFORMED),
        "too large": (bytes(MAX_ANNOUNCEMENT_BYTES + 1), Reason.TOO_LARGE),
        "no header": (encode((1, ballot, b"")), Reason.MALFORMED),
        "a short header": (encode((raw[:64], ballot, b"")), Reason.MALFORMED),
        "half an id": (encode((raw, ballot, bytes(31))), Reason.MALFORMED),
        "too many ids": (encode((raw, ballot, bytes(32 * (MAX_BLOCK_TRANSACTIONS + 1)))), Reason.MALFORMED),
        "no ballot": (encode((raw, 1, b"".join(ids))), Reason.MALFORMED),
        "a broken ballot": (encode((raw, ballot[:-1], b"".join(ids))), Reason.MALFORMED),
        "another ballot": (encode((raw, other_ballot, b"".join(ids))), Reason.WRONG_VOTES_ROOT),
        "fewer ids": (encoded(block, ids[:1]), Reason.WRONG_TX_ROOT),
        "no ids": (encoded(block, []), Reason.WRONG_TX_ROOT),
        "ids in another order": (encoded(block, ids[::-1]), Reason.WRONG_TX_ROOT),
        "another leader": (encoded(forge.block(None, slot=SLOT, signer=secret(1))), Reason.WRONG_LEADER),
        "too high for its slot": (encoded(forge.block(None, slot=SLOT, height=SLOT + 1)), Reason.WRONG_HEIGHT),
    }


@pytest.mark.parametrize("case", sorted(hostile(Forge(GENESIS))))
def test_what_no_honest_peer_announces_is_blamed(door: Admission, chain: Blockchain, forge: Forge, case: str) -> None:
    data, reason = hostile(forge)[case]
    assert why(door.announcement(data, chain, start_ms(SLOT))) == (Blamed, reason)


def test_a_header_is_as_high_as_its_slot_at_most(door: Admission, chain: Blockchain, forge: Forge) -> None:
    block = forge.block(None, slot=SLOT, height=SLOT)
    assert not isinstance(door.announcement(encoded(block), chain, start_ms(SLOT)), Blamed)


@pytest.mark.parametrize(
    ("late_ms", "reason"),
    [
        (-CLOCK_DISPARITY_MS - 1, Reason.FUTURE_SLOT),
        (-CLOCK_DISPARITY_MS, None),
        (MAX_LATE_SLOTS * GENESIS.slot_ms, None),
        (MAX_LATE_SLOTS * GENESIS.slot_ms + 1, Reason.EXPIRED),
        (-(10**12), Reason.FUTURE_SLOT),
        (10**12, Reason.EXPIRED),
    ],
)
def test_too_early_or_too_late_is_nobodys_fault(
    door: Admission, chain: Blockchain, forge: Forge, late_ms: int, reason: Reason | None
) -> None:
    block = forge.block(None, slot=SLOT)
    outcome = judge(door, chain, block, start_ms(SLOT) + late_ms)
    if reason is None:
        assert isinstance(outcome, AdmittedAnnouncement)
    else:
        assert why(outcome) == (Dropped, reason)


@pytest.mark.parametrize("slot", [SLOT + 2, 2**63, U64_MAX])
def test_a_slot_of_times_to_come_is_too_early(door: Admission, chain: Blockchain, forge: Forge, slot: int) -> None:
    assert why(judge(door, chain, forge.block(None, slot=slot), start_ms(SLOT))) == (Dropped, Reason.FUTURE_SLOT)


def test_what_is_final_is_no_news_but_evidence_perhaps(door: Admission, forge: Forge) -> None:
    blocks = forge.chain(7)
    chain = blockchain(GENESIS, blocks[:-1])
    assert chain.finalized.height == 1
    for block, is_news in ((forge.block(None, slot=5), False), (blocks[0], False), (blocks[-1], True)):
        outcome = judge(door, chain, block, start_ms(7))
        assert isinstance(outcome, AdmittedAnnouncement)
        assert outcome.is_news is is_news


def test_what_is_final_is_looked_at_as_seldom_as_what_is_new(door: Admission, forge: Forge) -> None:
    blocks = forge.chain(6)
    chain = blockchain(GENESIS, blocks)
    outcomes = [judge(door, chain, blocks[0], start_ms(7)) for _ in range(MAX_ANNOUNCED_PER_SLOT + 3)]
    assert all(isinstance(outcome, AdmittedAnnouncement) for outcome in outcomes[:MAX_ANNOUNCED_PER_SLOT])
    assert {why(outcome) for outcome in outcomes[MAX_ANNOUNCED_PER_SLOT:]} == {(Dropped, Reason.CROSSES_FINALITY)}


def test_a_leader_that_cannot_be_known_yet_is_nobodys_fault(door: Admission, chain: Blockchain, forge: Forge) -> None:
    ahead = forge.block(None, slot=SLOT, signer=secret(1), height=30, parent=bytes(32))
    assert why(judge(door, chain, ahead)) == (Dropped, Reason.NOT_EXECUTED)


def test_a_known_block_is_passed_on_but_not_under_other_ids(door: Admission, forge: Forge) -> None:
    block = forge.block(None, enrolments(1))
    chain = blockchain(GENESIS, [block])
    assert judge(door, chain, block) == Known(block.header)
    assert why(door.announcement(encoded(block, [bytes(32)]), chain, start_ms(1))) == (Blamed, Reason.WRONG_TX_ROOT)


# ---------------------------------------------------------------------------------------------------------- quota


def rivals(forge: Forge, count: int, slot: int = SLOT) -> list[Block]:
    return [forge.block(None, slot=slot, state_root=bytes([number]) * 32) for number in range(count)]


def test_of_one_slot_and_signer_few_get_in(door: Admission, chain: Blockchain, forge: Forge) -> None:
    outcomes = [judge(door, chain, block) for block in rivals(forge, MAX_ANNOUNCED_PER_SLOT + 3)]
    assert all(isinstance(outcome, AdmittedAnnouncement) for outcome in outcomes[:MAX_ANNOUNCED_PER_SLOT])
    assert [why(outcome) for outcome in outcomes[MAX_ANNOUNCED_PER_SLOT:]] == [(Dropped, Reason.TREE_FULL)] * 3
    assert isinstance(judge(door, chain, forge.block(None, slot=SLOT + 1)), AdmittedAnnouncement)


def test_a_second_block_of_a_slot_is_evidence_and_a_third_a_flood(
    door: Admission, chain: Blockchain, forge: Forge
) -> None:
    one, two, three = (judge(door, chain, block) for block in rivals(forge, 3))
    assert isinstance(one, AdmittedAnnouncement)
    assert isinstance(two, AdmittedAnnouncement)
    assert why(three) == (Dropped, Reason.TREE_FULL)


def test_signatures_that_are_checked_side_by_side_get_no_more_in(
    door: Admission, chain: Blockchain, forge: Forge
) -> None:
    # given announcements of one slot that are all plausible before the first signature is checked
    plausible = [door.announcement(encoded(block), chain, start_ms(SLOT)) for block in rivals(forge, 5)]

    # when all signatures prove good
    stages = [item for item in plausible if isinstance(item, PlausibleAnnouncement)]
    assert len(stages) == 5
    outcomes = [door.admit(item, verify_header(item.header, GENESIS.id)) for item in stages]

    # then the quota holds all the same
    assert sum(isinstance(outcome, AdmittedAnnouncement) for outcome in outcomes) == MAX_ANNOUNCED_PER_SLOT


def test_what_nobody_signed_uses_up_no_quota(door: Admission, chain: Blockchain, forge: Forge) -> None:
    # given many headers of a slot in its leader's name, whose signatures never prove good
    for block in rivals(forge, 20):
        assert isinstance(door.announcement(encoded(block), chain, start_ms(SLOT)), PlausibleAnnouncement)

    # then the leader's own gets in
    assert len(door) == 0
    assert isinstance(judge(door, chain, forge.block(None, slot=SLOT)), AdmittedAnnouncement)


def test_a_known_block_gets_past_a_quota_that_is_used_up(door: Admission, forge: Forge) -> None:
    chain = Blockchain(GENESIS)
    *two, third = rivals(forge, 3)
    for block in two:
        judge(door, chain, block)
    good = forge.block(None, slot=SLOT)
    chain.add(good, arrived_in_slot=True)
    assert judge(door, chain, good) == Known(good.header)
    assert why(judge(door, chain, third)) == (Dropped, Reason.TREE_FULL)


def test_the_signature_of_another_header_admits_nothing(door: Admission, chain: Blockchain, forge: Forge) -> None:
    one, other = rivals(forge, 2)
    plausible = door.announcement(encoded(one), chain, start_ms(SLOT))
    assert isinstance(plausible, PlausibleAnnouncement)
    with pytest.raises(InvariantBroken):
        door.admit(plausible, other.header)


def test_a_quota_is_for_each_slot_and_signer_and_forgets_the_oldest() -> None:
    quota = Quota(2, 2)
    assert [quota.take(5, b"a") for _ in range(3)] == [True, True, False]
    assert quota.is_used_up(5, b"a")
    assert not quota.is_used_up(5, b"b")
    assert quota.take(6, b"a")
    assert quota.take(7, b"a")
    assert not quota.is_used_up(5, b"a")  # forgotten
    assert [quota.take(7, b"a"), quota.take(7, b"a")] == [True, False]
    assert len(quota) == 2


def test_a_quota_that_is_full_does_not_look_through_all_that_it_counted() -> None:
    looks = 0

    class Slot(int):
        def __lt__(self, other: int) -> bool:
            nonlocal looks
            looks += 1
            return super().__lt__(other)

    quota = Quota(2, 1_000)
    for slot in range(1_000):
        quota.take(Slot(slot), b"a")
    looks = 0
    for slot in range(1_000, 1_010):
        quota.take(Slot(slot), b"a")
    assert len(quota) == 1_000
    assert 0 < looks < 1_000


def test_what_is_counted_covers_every_slot_that_is_not_too_late() -> None:
    # a slot has a leader in each of four sets of validators
    leaders, end = (b"a", b"b", b"c", b"d"), 3 * MAX_LATE_SLOTS
    quota = Quota(1, MAX_COUNTED)
    for slot in range(end):
        for leader in leaders:
            quota.take(slot, leader)
    assert len(quota) == len(leaders) * MAX_LATE_SLOTS
    assert all(quota.is_used_up(slot, leader) for slot in range(end - MAX_LATE_SLOTS, end) for leader in leaders)


# ----------------------------------------------------------------------------------------------- from cheap to dear


def test_what_is_untimely_costs_neither_a_root_nor_a_look_at_the_leader(
    door: Admission, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = blockchain(GENESIS, forge.chain(6))
    for block in rivals(forge, MAX_ANNOUNCED_PER_SLOT):
        judge(door, chain, block)
    dear: list[str] = []
    monkeypatch.setattr(admission, "merkle_root", lambda _ids: dear.append("root"))
    monkeypatch.setattr(Blockchain, "check_leader", lambda _self, _header: dear.append("leader"))
    late = start_ms(SLOT + MAX_LATE_SLOTS + 1)
    cases: dict[Reason, tuple[Block, int]] = {
        Reason.FUTURE_SLOT: (forge.block(None, slot=SLOT), start_ms(SLOT - 1)),
        Reason.EXPIRED: (forge.block(None, slot=SLOT, height=9), late),
        Reason.CROSSES_FINALITY: (forge.block(None, slot=SLOT, height=1), start_ms(SLOT)),
        Reason.TREE_FULL: (forge.block(None, slot=SLOT, height=9), start_ms(SLOT)),
    }
    for reason, (block, now_ms) in cases.items():
        if reason in (Reason.TREE_FULL, Reason.CROSSES_FINALITY):
            for _ in range(MAX_ANNOUNCED_PER_SLOT):
                door._announced.take(SLOT, block.header.proposer)
        assert why(door.announcement(encoded(block), chain, now_ms)) == (Dropped, reason)
    assert dear == []


def test_a_wrong_leader_costs_no_root(
    door: Admission, chain: Blockchain, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear: list[str] = []
    monkeypatch.setattr(admission, "merkle_root", lambda _ids: dear.append("root"))
    block = forge.block(None, slot=SLOT, signer=secret(1))
    assert why(door.announcement(encoded(block), chain, start_ms(SLOT))) == (Blamed, Reason.WRONG_LEADER)
    assert dear == []


# --------------------------------------------------------------------------------------------------------- claims


def test_a_claim_that_can_be_true_gets_in(door: Admission) -> None:
    for status in (Status(bytes(32), 0, 0, 0), Status(bytes(32), SLOT, SLOT, SLOT)):
        assert door.claim(status.encode(), "peer", start_ms(SLOT)) == AdmittedClaim(status)


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        b"",
        bytes(1_000),
        Status(bytes(32), 5, 6, 0).encode(),
        Status(bytes(32), 5, 5, 6).encode(),
        Status(bytes(32), 5, 5, 5, restart=6).encode(),
        Status(bytes(32), 0, 0, 0).encode() + b"\x00",
    ],
)
def test_a_claim_that_never_can_be_true_is_blamed(door: Admission, data: bytes) -> None:
    assert isinstance(door.claim(data, "peer", start_ms(SLOT)), Blamed)


@pytest.mark.parametrize(
    ("height", "now_ms", "is_believed"),
    [
        (SLOT, start_ms(SLOT), True),
        (SLOT + 1, start_ms(SLOT), False),
        (SLOT + 1, start_ms(SLOT + 1) - CLOCK_DISPARITY_MS, True),
        (SLOT + 1, start_ms(SLOT + 1) - CLOCK_DISPARITY_MS - 1, False),
        (2**64 - 1, start_ms(SLOT), False),
        (0, 0, True),
        (1, 0, False),
    ],
)
def test_no_chain_has_more_blocks_than_slots(door: Admission, height: int, now_ms: int, is_believed: bool) -> None:
    status = Status(bytes(32), height, 0, 0)
    # our clock may be the wrong one: the peer is known, and asked again
    heard = status if is_believed else Status(GENESIS.id, 0, 0, 0)
    assert door.claim(status.encode(), "peer", now_ms) == AdmittedClaim(heard)


def test_a_credential_of_another_peer_is_blamed(door: Admission) -> None:
    status = Status(bytes(32), 0, 0, 0, 5, sign_credential(secret(1), GENESIS.id, "peer"))
    assert door.claim(status.encode(), "peer", start_ms(SLOT)) == AdmittedClaim(status)
    assert why(door.claim(status.encode(), "other", start_ms(SLOT))) == (Blamed, Reason.BAD_SIGNATURE)


def test_what_time_a_validator_has_is_heard_though_it_stands_beyond_ours(door: Admission) -> None:
    credential = sign_credential(secret(1), GENESIS.id, "peer")
    status = Status(b"\x01" * 32, SLOT + 9, 7, 5, start_ms(SLOT + 9), credential)
    outcome = door.claim(status.encode(), "peer", start_ms(SLOT))
    assert outcome == AdmittedClaim(Status(GENESIS.id, 0, 0, 0, start_ms(SLOT + 9), credential))


# -------------------------------------------------------------------------------------------------------- batches


def test_a_batch_is_read_and_not_judged() -> None:
    raws = tuple(item.raw for item in enrolments(3))
    assert admission.batch(RawItems(raws).encode(), has_room=True) == ReadBatch(raws)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xc1", Reason.MALFORMED),
        (encode((1, 2)), Reason.MALFORMED),
        (bytes(MAX_BATCH_BYTES + 1), Reason.TOO_LARGE),
        (RawItems((b"x",) * (MAX_BATCH_TRANSACTIONS + 1)).encode(), Reason.MALFORMED),
    ],
)
def test_what_is_no_batch_is_blamed(data: bytes, reason: Reason) -> None:
    assert why(admission.batch(data, has_room=True)) == (Blamed, reason)


def test_where_there_is_no_room_nobody_is_blamed_for_it() -> None:
    raws = tuple(item.raw for item in enrolments(1))
    assert why(admission.batch(RawItems(raws).encode(), has_room=False)) == (Dropped, Reason.POOL_FULL)


@pytest.mark.parametrize("reason", Reason)
def test_the_reason_says_whose_fault_it_is(reason: Reason) -> None:
    is_blamed = reason.disposition is Disposition.BLAME
    assert why(rejected(Refused(reason))) == (Blamed if is_blamed else Dropped, reason)


def test_a_clock_of_any_kind_raises_nothing(door: Admission, chain: Blockchain, forge: Forge) -> None:
    judges: list[Callable[[int], object]] = [
        lambda now_ms: door.announcement(encoded(forge.block(None, slot=SLOT)), chain, now_ms),
        lambda now_ms: door.announcement(encoded(forge.block(None, slot=2**64 - 1)), chain, now_ms),
        lambda now_ms: door.claim(Status(bytes(32), 5, 0, 0).encode(), "peer", now_ms),
    ]
    for now_ms in (-(2**62), 0, 2**62):
        for judge_at in judges:
            judge_at(now_ms)


def test_a_replaced_id_is_another_header(door: Admission, chain: Blockchain, forge: Forge) -> None:
    block = forge.block(None, slot=SLOT)
    spoilt = replace(block.header, raw=block.header.raw[:-1] + bytes([block.header.raw[-1] ^ 1]))
    plausible = door.announcement(Announcement(spoilt.raw, block.ballot.raw, ()).encode(), chain, start_ms(SLOT))
    assert isinstance(plausible, PlausibleAnnouncement)
    assert plausible.header.id != block.id
    with pytest.raises(Refused, match="bad_signature"):
        verify_header(plausible.header, GENESIS.id)


# ------------------------------------------------------------------------------------------------- attestations


def plausible(door: Admission, chain: Blockchain, *attestations: Attestation) -> object:
    return door.plausible_attestations(ReadBatch(tuple(each.raw for each in attestations)), chain)


def test_attestations_of_blocks_that_are_not_final_get_in(forge: Forge, door: Admission) -> None:
    blocks = forge.attested(4)
    chain = blockchain(GENESIS, blocks)
    final = chain.finalized.height
    said = [forge.attest(block, each) for block in blocks for each in range(4) if each != 2]
    let_in = plausible(door, chain, *said)
    assert let_in == tuple(each for each in said if each.height > final)
    assert final


def test_what_is_no_attestation_is_blamed(forge: Forge, door: Admission, chain: Blockchain) -> None:
    good = forge.attest(forge.block(), 3)
    for bad in (b"", b"nonsense", good.raw[:-1] + b"x" * 300, good.raw[1:]):
        outcome = door.plausible_attestations(ReadBatch((good.raw, bad)), chain)
        assert isinstance(outcome, Blamed)
    assert isinstance(admission.attestation_batch(b"nonsense"), Blamed)


def test_strangers_and_the_far_future_stay_outside_without_blame(forge: Forge, door: Admission) -> None:
    block = forge.block()
    chain = blockchain(GENESIS, [block])
    assert plausible(door, chain, forge.attest(block, 40)) == ()
    for height, fits in ((1 + MAX_ATTESTED_AHEAD, True), (2 + MAX_ATTESTED_AHEAD, False)):
        early = forge.attest(block, 3, tip=bytes(32), height=height, mhp=0)
        assert (plausible(door, chain, early) == (early,)) is fits


def test_of_a_height_and_speaker_two_get_in_and_each_of_them_again(forge: Forge, door: Admission) -> None:
    block = forge.block()
    chain = blockchain(GENESIS, [block])
    first, second, third = (forge.attest(block, 3, tip=bytes([number]) * 32) for number in range(3))
    assert door.admit_attestations((first, second, third)).attestations == (first, second)
    assert plausible(door, chain, first, second, third) == (first, second)
    assert door.admit_attestations((first,)).attestations == (first,)
    other = forge.attest(block, 2)
    assert door.admit_attestations((other,)).attestations == (other,)
