"""What came from outside becomes verified: each signature checked once, and nothing without."""

from __future__ import annotations

import pytest
import trio

from chain.base.codec import encode
from chain.base.errors import Reason, Refused
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import Decision
from chain.content.actions import Enrol
from chain.content.blocks import Block, encode_block, heading_of
from chain.content.transactions import Transaction, VerifiedTransaction, decode_transaction
from p2p.signatures import CHUNK, SCREENED_AT_ONCE, Signatures
from tests.support.forge import Forge, heading
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(1)


class Mempool:
    """What waits."""

    def __init__(self) -> None:
        self.held: dict[bytes, VerifiedTransaction] = {}

    def get(self, transaction_id: bytes) -> VerifiedTransaction | None:
        return self.held.get(transaction_id)


@pytest.fixture
def mempool() -> Mempool:
    return Mempool()


@pytest.fixture
def signatures(mempool: Mempool) -> Signatures:
    return Signatures(GENESIS.id, mempool.get)


def enrolments(count: int) -> list[VerifiedTransaction]:
    return [Actor(GENESIS, 1_000 + number).sign(Enrol()) for number in range(count)]


def raws_of(transactions: list[VerifiedTransaction]) -> list[bytes]:
    return [transaction.raw for transaction in transactions]


def spoilt(raw: bytes) -> bytes:
    """With another signature."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


def encoded(
    block: Block, *, header: bytes | None = None, ballot: bytes | None = None, body: tuple[bytes, ...] | None = None
) -> bytes:
    """The block with other parts."""
    raws = tuple(transaction.raw for transaction in block.transactions)
    return encode(
        (
            block.header.raw if header is None else header,
            block.ballot.raw if ballot is None else ballot,
            raws if body is None else body,
        )
    )


async def reason_of_transactions(signatures: Signatures, raws: list[bytes]) -> Reason:
    with pytest.raises(Refused) as caught:
        await signatures.transactions(raws)
    return caught.value.reason


async def reason_of_block(signatures: Signatures, raw: bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        await signatures.block(raw)
    return caught.value.reason


async def test_transactions_come_back_in_order_and_are_checked_once(signatures: Signatures) -> None:
    sent = enrolments(2 * CHUNK + 1)
    assert await signatures.transactions(raws_of(sent)) == tuple(sent)
    assert signatures.checked == len(sent)
    assert await signatures.transactions(raws_of(sent[::-1])) == tuple(sent[::-1])
    assert signatures.checked == len(sent)
    assert await signatures.transactions([]) == ()


async def test_copies_in_one_batch_are_checked_once(signatures: Signatures) -> None:
    (one,) = enrolments(1)
    assert await signatures.transactions([one.raw] * 5) == (one,) * 5
    assert signatures.checked == 1


async def test_what_waits_in_the_mempool_is_neither_decoded_nor_checked(
    signatures: Signatures, mempool: Mempool, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []

    def decode(raw: bytes) -> Transaction:
        decoded.append(raw)
        return decode_transaction(raw)

    monkeypatch.setattr("p2p.signatures.decode_transaction", decode)
    known, fresh = enrolments(2)
    mempool.held = {known.id: known}
    verified = await signatures.transactions([known.raw, fresh.raw])
    assert verified[0] is known
    assert decoded == [fresh.raw]
    assert signatures.checked == 1


@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, 2 * CHUNK - 1])
async def test_one_bad_signature_refuses_the_batch(signatures: Signatures, place: int) -> None:
    raws = raws_of(enrolments(2 * CHUNK))
    raws[place] = spoilt(raws[place])
    assert await reason_of_transactions(signatures, raws) is Reason.BAD_SIGNATURE
    assert await reason_of_transactions(signatures, raws) is Reason.BAD_SIGNATURE


async def test_a_bad_signature_is_not_remembered_as_good_and_good_ones_are_not_forgotten(
    signatures: Signatures,
) -> None:
    good = enrolments(4)
    raws = [*raws_of(good), spoilt(good[0].raw)]
    for attempt in range(1, 4):
        assert await reason_of_transactions(signatures, raws) is Reason.BAD_SIGNATURE
        assert signatures.checked == 4 + attempt
    assert await signatures.transactions(raws[:4]) == tuple(good)
    assert signatures.checked == 4 + 3


@pytest.mark.parametrize("raw", [b"", b"\xc1" * 100, bytes(64), b"\x95" + bytes(100), bytes(2_000)])
async def test_what_does_not_decode_refuses_the_batch_unchecked(signatures: Signatures, raw: bytes) -> None:
    (good,) = enrolments(1)
    assert await reason_of_transactions(signatures, [good.raw, raw]) in {Reason.MALFORMED, Reason.TOO_LARGE}
    assert signatures.checked == 0


async def test_another_networks_transaction_is_refused(signatures: Signatures) -> None:
    foreign = Actor(genesis_of(2), 1_000).sign(Enrol())
    assert await reason_of_transactions(signatures, [foreign.raw]) is Reason.BAD_SIGNATURE


async def test_each_gets_its_outcome_and_is_checked_once(signatures: Signatures) -> None:
    good = enrolments(3)
    bad = spoilt(good[1].raw)
    raws = [good[0].raw, b"junk", bad, good[1].raw, good[2].raw, good[0].raw]
    outcomes = await signatures.outcomes(raws)
    assert [item.reason if isinstance(item, Refused) else item for item in outcomes] == [
        good[0], Reason.MALFORMED, Reason.BAD_SIGNATURE, good[1], good[2], good[0],
    ]  # fmt: skip
    assert signatures.checked == 5, "the bad one twice: with the others, and to find out which it was"
    assert await signatures.outcomes(raws_of(good)) == good
    assert await signatures.outcomes([]) == []
    assert signatures.checked == 5


async def test_nothing_passes_the_screen_for_having_been_checked_or_taken_before(
    signatures: Signatures, mempool: Mempool
) -> None:
    waits, checked, fresh = enrolments(3)
    mempool.held = {waits.id: waits}
    await signatures.transactions([checked.raw])
    full = Refused(Reason.OVER_QUOTA, "2 a day")
    raws = raws_of([waits, checked, fresh])
    assert await signatures.outcomes(raws, lambda _transaction: full) == [full] * 3
    assert await signatures.transactions(raws, screen=lambda _transaction: full) == ()
    assert signatures.checked == 1


async def test_memory_is_bounded_and_forgets_the_oldest(mempool: Mempool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.signatures.MAX_REMEMBERED", 3)
    signatures = Signatures(GENESIS.id, mempool.get)
    sent = raws_of(enrolments(5))
    await signatures.transactions(sent)
    await signatures.transactions(sent[2:])
    assert signatures.checked == 5
    await signatures.transactions(sent[:2])
    assert signatures.checked == 7


async def test_a_block_is_read_whole(signatures: Signatures, mempool: Mempool) -> None:
    sent = enrolments(3)
    block = Forge(GENESIS).block(None, sent)
    mempool.held = {sent[0].id: sent[0]}
    await signatures.transactions([sent[1].raw])
    assert await signatures.block(encode_block(block)) == block
    assert signatures.checked == 2  # the first waits, the second was checked, the third was new
    assert await signatures.block(encode_block(block)) == block
    assert signatures.checked == 2


async def test_a_block_with_any_part_wrong_is_refused(signatures: Signatures) -> None:
    first, second = enrolments(2)
    block = Forge(GENESIS).block(None, [first, second])
    foreign = Forge(genesis_of(1, slot_ms=999)).block()
    for raw, reason in (
        (encoded(block, header=spoilt(block.header.raw)), Reason.BAD_SIGNATURE),
        (encode_block(foreign), Reason.BAD_SIGNATURE),
        (encoded(block, body=(first.raw, spoilt(second.raw))), Reason.BAD_SIGNATURE),
        (encoded(block, body=(first.raw,)), Reason.WRONG_TX_ROOT),
        (encoded(block, body=(second.raw, first.raw)), Reason.WRONG_TX_ROOT),
        (encoded(block, body=()), Reason.WRONG_TX_ROOT),
        (encoded(block, body=(first.raw, b"")), Reason.MALFORMED),
        (encoded(block, ballot=make_ballot((), Decision(barred=((),))).raw), Reason.WRONG_VOTES_ROOT),
        (encoded(block, ballot=b""), Reason.MALFORMED),
        (encoded(block, header=b""), Reason.MALFORMED),
        (b"\xc1", Reason.MALFORMED),
        (bytes(2_000_000), Reason.TOO_LARGE),
    ):
        assert await reason_of_block(signatures, raw) is reason


async def test_a_header_is_checked_for_its_network(signatures: Signatures) -> None:
    header = Forge(GENESIS).block().header
    assert await signatures.header(header) == header
    with pytest.raises(Refused) as caught:
        await signatures.header(Forge(genesis_of(1, slot_ms=999)).block().header)
    assert caught.value.reason is Reason.BAD_SIGNATURE


async def test_headings_and_blocks_are_good_up_to_the_first_that_is_not() -> None:
    blocks = Forge(GENESIS).chain(4)
    raws = [encode_block(block) for block in blocks]
    signatures = Signatures(GENESIS.id, lambda _transaction_id: None)
    headings = [heading_of(raw) for raw in raws]
    spoilt = encode((blocks[2].header.raw[:-1] + b"x", blocks[2].ballot.raw))
    good, refusal = await signatures.headings([*headings[:2], spoilt, headings[3]])
    assert good == tuple(map(heading, blocks[:2]))
    assert refusal is not None
    assert refusal.reason is Reason.BAD_SIGNATURE
    assert await signatures.headings(headings) == (tuple(map(heading, blocks)), None)
    whole, refusal = await signatures.blocks([raws[0], raws[1], b"\xc1", raws[3]])
    assert whole == tuple(blocks[:2])
    assert refusal is not None
    assert await signatures.blocks(raws) == (tuple(blocks), None)


async def test_others_have_their_turn_while_many_are_read(signatures: Signatures) -> None:
    raws, screened, seen_by_others = raws_of(enrolments(3 * SCREENED_AT_ONCE)), [], set()

    def refuse(transaction: Transaction) -> Refused:
        screened.append(transaction.id)
        return Refused(Reason.NONCE_USED)

    async def look() -> None:
        while True:
            seen_by_others.add(len(screened))
            await trio.lowlevel.checkpoint()

    for ask in (signatures.outcomes, signatures.transactions):
        screened.clear()
        seen_by_others.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await ask(raws, screen=refuse)
            nursery.cancel_scope.cancel()
        assert seen_by_others - {0, len(raws)}
