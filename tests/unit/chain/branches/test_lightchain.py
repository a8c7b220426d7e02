"""A chain of headers alone: it counts what nodes count, refuses what they refuse, and notices two final chains."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chain.base.errors import OperatorError, Reason, Refused
from chain.branches.lightchain import (
    TAILS,
    Checkpoint,
    LightChain,
    read_checkpoint,
    rehearse,
    restore,
    save,
    shown_final,
    verified,
)
from chain.content.blocks import Block
from tests.support.forge import Forge, heading
from tests.support.refusals import refusal
from tests.support.registered import changing_city
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
KEYS = sorted(secret(number).public for number in range(1, 5))


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


def following(blocks: Sequence[Block], checkpoint: Checkpoint | None = None) -> LightChain:
    """A chain of the headers of these blocks."""
    chain = LightChain(GENESIS, checkpoint)
    add(chain, blocks)
    return chain


def add(chain: LightChain, blocks: Sequence[Block]) -> None:
    for block in blocks:
        chain.add(verified(block.header, block.ballot, chain))


def pin(block: Block) -> Checkpoint:
    return Checkpoint(block.header.height, block.id)


def test_it_counts_what_a_node_counts(forge: Forge) -> None:
    blocks = forge.attested(40)
    chain = LightChain(GENESIS)
    for block in blocks:
        assert chain.add(heading(block))
        assert not chain.add(heading(block))
        assert chain.head.votes == forge.votes(block)
        assert chain.final.header.height == forge.votes(block).finalized
    assert chain.final.header.id == blocks[37].id
    assert chain.is_final(blocks[3].header)
    assert not chain.is_final(blocks[38].header)


def test_it_follows_changes_of_validators() -> None:
    city = changing_city(20)
    chain = LightChain(city.genesis)
    for block in city.blocks:
        chain.add(heading(block))
    assert chain.final.votes.electorate.current != chain.get(city.genesis.id).votes.electorate.current  # type: ignore[union-attr]
    assert chain.head.header.id == city.blocks[-1].id


def test_where_nothing_is_final_for_long_it_goes_on(forge: Forge) -> None:
    lonely = forge.chain(1)
    for number in range(60):
        lonely.append(forge.block(lonely[-1], slot=forge.slot_of(number % 2, lonely[-1].header.slot)))
    chain = following(lonely)
    assert chain.final.header.height == 0
    add(chain, forge.attested(6, lonely[-1]))
    assert chain.final.header.height > 60


def test_one_validator_cannot_push_out_the_best_branch(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.branches.lightchain.MAX_ASIDE", 8)
    monkeypatch.setattr("chain.branches.lightchain.MAX_JUDGED", 20)
    blocks = forge.attested(12)
    chain, flood = following(blocks), blocks[3]
    for _ in range(40):
        flood = forge.block(flood, slot=forge.slot_of(2, max(100, flood.header.slot)))
        chain.add(heading(flood))
    assert chain.head.header.id != flood.id
    add(chain, forge.attested(6, blocks[-1]))
    assert chain.final.header.height == 16


def test_a_branch_that_was_beside_the_best_takes_its_place(forge: Forge) -> None:
    blocks = forge.attested(3)
    short, longer = forge.chain(1, blocks[-1]), forge.chain(4, blocks[-1], slot=50)
    chain = following([*blocks, *short, *longer])
    assert chain.head.header.id == longer[-1].id
    add(chain, forge.attested(4, longer[-1]))
    assert chain.is_final(longer[0].header)
    assert not chain.is_final(short[0].header)


def test_a_branch_that_was_beside_the_best_for_long_takes_its_place(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two halves of a network that went on apart, and the longer branch shown after the other
    monkeypatch.setattr("chain.branches.lightchain.MAX_ASIDE", 4)
    common = forge.attested(3)
    halves = []
    for leaders, length in (((2, 3), 6), ((0, 1), 12)):
        branch = [forge.block(common[-1], slot=forge.slot_of(leaders[0], 3), carrying=forge.attestations(common[-1]))]
        for number in range(1, length):
            slot = forge.slot_of(leaders[number % 2], branch[-1].header.slot)
            branch.append(forge.block(branch[-1], slot=slot))
        halves.append(branch)
    shorter, longer = halves
    chain = following([*common, *shorter])
    add(chain, longer)
    assert chain.head.header.id == longer[-1].id
    # when both go on together, then that is final, down to where they parted
    together = forge.attested(4, longer[-1])
    add(chain, together)
    assert chain.final.header.height == forge.votes(together[-1]).finalized > longer[-1].header.height
    assert all(chain.is_final(block.header) for block in (*common, *longer))
    assert not any(chain.is_final(block.header) for block in shorter)


@pytest.mark.parametrize("at", [2, 20])
def test_a_wrong_count_deep_inside_is_refused(forge: Forge, at: int) -> None:
    blocks = forge.attested(at)
    wrong = forge.block(blocks[-1], carrying=forge.attestations(blocks[-1]), mhp=blocks[-1].header.mhp)
    chain = following(blocks)
    assert refusal(chain.add, heading(wrong)) is Reason.WRONG_MHP
    assert refusal(chain.add, heading(forge.block(wrong))) is Reason.UNKNOWN_PARENT


def test_a_forged_attestation_is_refused(forge: Forge) -> None:
    blocks = forge.attested(5)
    said = forge.attest(blocks[-1], 2, tip=blocks[-2].id)
    chain = following(blocks)
    assert refusal(chain.add, heading(forge.block(blocks[-1], carrying=[said]))) is Reason.BAD_SIGNATURE


def test_a_header_of_another_network_is_refused(forge: Forge) -> None:
    block = forge.block()
    chain = LightChain(genesis_of(4, name="another"))
    assert refusal(verified, block.header, block.ballot, chain) is Reason.BAD_SIGNATURE


def test_whoever_rehearses_leaves_nothing_to_be_checked(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = forge.attested(12)
    chain = following(blocks[:4])
    headings = [heading(block) for block in blocks[4:]]
    rehearse(headings[:4], headings, chain)
    rehearse(headings[4:], headings, chain)
    monkeypatch.setattr("chain.consensus.attestations.verify", None)
    for each in headings:
        chain.add(each)
    assert chain.head.header.id == blocks[-1].id


def test_what_cannot_be_rehearsed_is_left_to_the_judge(forge: Forge) -> None:
    blocks = forge.attested(6)
    rehearse([heading(blocks[5])], [heading(blocks[5])], LightChain(GENESIS))
    said = forge.attest(blocks[-1], 1, tip=blocks[-2].id)
    wrong = heading(forge.block(blocks[-1], carrying=[said]))
    chain = following(blocks)
    rehearse([wrong], [wrong], chain)
    assert refusal(chain.add, wrong) is Reason.BAD_SIGNATURE


FEW, MORE, MANY = TAILS


def test_the_last_of_many_show_all_of_them_final(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = forge.attested(FEW + 20)
    headings, chain = [heading(block) for block in blocks], LightChain(GENESIS)
    shown = shown_final(headings, chain)
    assert shown == FEW + 18
    monkeypatch.setattr("chain.consensus.attestations.verify", None)
    monkeypatch.setattr("chain.consensus.attestations._verify", None)
    for each in headings[:shown]:
        chain.add(each, is_shown=True)
    assert chain.head.votes == forge.votes(blocks[shown - 1])


def test_a_few_of_many_validators_show_it_as_well() -> None:
    """Each block carries what all of them say."""
    forge = Forge(genesis_of(25))
    headings = [heading(block) for block in forge.attested(FEW + 4)]
    assert shown_final(headings, LightChain(forge.genesis)) == FEW + 2


def test_where_few_show_nothing_more_are_looked_at() -> None:
    """In the last of them nobody says anything but whose turn it is."""
    forge = Forge(genesis_of(25))
    blocks = forge.attested(MORE)
    blocks += forge.chain(FEW, blocks[-1])
    headings, chain = [heading(block) for block in blocks], LightChain(forge.genesis)
    add(chain, blocks[: -FEW - 1])
    assert shown_final(headings[-FEW - 1 :], chain) == 0
    assert shown_final(headings, LightChain(forge.genesis)) == MORE - 2


def test_what_they_do_not_show_is_looked_at_one_by_one(forge: Forge) -> None:
    blocks = forge.attested(MANY + 9)
    headings = [heading(block) for block in blocks]
    assert shown_final(headings[:FEW], LightChain(GENESIS)) == 0  # so few are looked at as they are
    assert shown_final(headings[1:], LightChain(GENESIS)) == 0  # nobody knows who votes there
    assert shown_final([*headings[:5], *headings[6:]], LightChain(GENESIS)) == 0
    said = forge.attest(blocks[-1], 1, tip=blocks[-2].id)
    forged = heading(forge.block(blocks[-1], carrying=[said]))
    assert shown_final([*headings, forged], LightChain(GENESIS)) == 0
    city = changing_city(FEW)
    assert shown_final([heading(block) for block in city.blocks], LightChain(city.genesis)) == 0


# ---------------------------------------------------------------------------------------- two final chains


def test_a_losing_branch_contradicts_nothing(forge: Forge) -> None:
    blocks = forge.attested(6)
    other = forge.chain(4, blocks[2], slot=50)
    chain = following(blocks)
    add(chain, other[:3])
    assert chain.contradiction is None
    assert chain.head.header.id == blocks[-1].id


def test_two_final_chains_contradict_and_who_signed_both_is_named(forge: Forge) -> None:
    stem = forge.attested(5)
    ours, theirs = forge.attested(5, stem[-1]), forge.attested(5, stem[-1], slot=50)
    chain = following([*stem, *ours])
    add(chain, theirs[:3])
    found = chain.contradiction
    assert found is not None
    assert (found.height, found.ours, found.theirs) == (6, ours[0].id, theirs[0].id)
    assert sorted(found.liars) == KEYS
    assert (found.weight, found.total) == (4, 4)


def test_a_branch_that_is_less_final_contradicts_as_well(forge: Forge) -> None:
    stem = forge.attested(3)
    ours, theirs = forge.attested(60, stem[-1]), forge.attested(4, stem[-1], slot=500)
    chain = following([*stem, *ours])
    add(chain, theirs)
    assert chain.contradiction is not None
    assert chain.contradiction.height == 4
    assert chain.final.header.id == ours[57].id


def test_only_who_signed_both_is_named() -> None:
    seven = genesis_of(7)
    forge = Forge(seven)
    chain = LightChain(seven)
    stem = forge.attested(2)
    for block in [*stem, *forge.attested(4, stem[-1], by=[0, 1, 2, 3, 4])]:
        chain.add(heading(block))
    before, split = chain.final.header.height, forge.chain(1, stem[-1], slot=50)
    for block in [*split, *forge.attested(9, split[-1], by=[2, 3, 4, 5, 6])]:
        chain.add(heading(block))
    assert before >= 3
    assert chain.contradiction is not None
    assert {secret(number).public for number in (3, 4, 5)} <= set(chain.contradiction.liars)
    assert 3 * chain.contradiction.weight >= chain.contradiction.total


# ------------------------------------------------------------------------------------------- checkpoints


def test_up_to_a_checkpoint_no_signature_is_looked_at(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = forge.attested(12)
    with monkeypatch.context() as patched:
        patched.setattr("chain.consensus.attestations.verify", None)
        patched.setattr("chain.consensus.headers.verify", None)
        chain = following(blocks[:9], pin(blocks[8]))
    assert not chain.is_anchored
    assert not chain.is_final(blocks[0].header)
    add(chain, blocks[9:])
    assert chain.is_anchored
    assert chain.is_final(blocks[0].header)


def test_after_a_checkpoint_signatures_count(forge: Forge) -> None:
    blocks = forge.attested(8)
    chain = following(blocks[:5], pin(blocks[4]))
    said = forge.attest(blocks[4], 2, tip=blocks[3].id)
    assert refusal(chain.add, heading(forge.block(blocks[4], carrying=[said]))) is Reason.BAD_SIGNATURE


def test_a_chain_off_the_checkpoint_is_refused(forge: Forge) -> None:
    stem = forge.attested(3)
    ours, theirs = forge.attested(6, stem[-1]), forge.attested(6, stem[-1], slot=50)
    chain = following([*stem, *theirs[:2]], pin(ours[2]))
    assert refusal(chain.add, heading(theirs[2])) is Reason.CROSSES_FINALITY
    anchored = following([*stem, *ours], pin(ours[2]))
    assert refusal(anchored.add, heading(theirs[0])) is Reason.CROSSES_FINALITY
    assert anchored.contradiction is None


ZEROS = "00" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "7:zz",
        f"x:{ZEROS}",
        f"0:{ZEROS}",
        f"-7:{ZEROS}",
        f"{2**64}:{ZEROS}",
        pytest.param(f"{'7' * 5_000}:{ZEROS}", id="more digits than are read"),
        "7:" + "00" * 31,
        "7:" + " 00" * 32,
    ],
)
def test_a_checkpoint_is_a_height_and_an_id(text: str) -> None:
    assert read_checkpoint("7:" + "ab" * 32) == (7, b"\xab" * 32)
    with pytest.raises(OperatorError, match="HEIGHT:ID"):
        read_checkpoint(text)


# ----------------------------------------------------------------------------------------------- on the disk


def test_it_goes_on_from_what_was_final(forge: Forge) -> None:
    blocks = forge.attested(20)
    chain = restore(GENESIS, save(following(blocks[:15])), None)
    assert chain.final.header.id == blocks[12].id
    add(chain, blocks[13:])
    assert chain.head.votes == forge.votes(blocks[-1])


def test_of_nothing_final_it_begins_anew(forge: Forge) -> None:
    for checkpoint in (None, Checkpoint(9, bytes(32))):
        chain = restore(GENESIS, save(following(forge.chain(1), checkpoint)), checkpoint)
        assert (chain.final.header.height, chain.checkpoint) == (0, checkpoint)


def test_another_checkpoint_than_before_begins_anew(forge: Forge) -> None:
    blocks = forge.attested(20)
    data = save(following(blocks, pin(blocks[3])))
    assert restore(GENESIS, data, None).checkpoint == pin(blocks[3])
    assert restore(GENESIS, data, pin(blocks[3])).final.header.height == 18
    assert restore(GENESIS, data, pin(blocks[4])).final.header.height == 0


def test_a_damaged_file_is_noticed(forge: Forge) -> None:
    data = save(following(forge.attested(5)))
    for at in range(len(data)):
        with pytest.raises(Refused):
            restore(GENESIS, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], None)
    assert refusal(restore, genesis_of(4, name="another"), data, None) is Reason.MALFORMED
