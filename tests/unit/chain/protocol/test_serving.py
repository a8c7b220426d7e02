"""What a node replies: as much of what is asked for as it has and a message holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from chain.base.errors import Refused
from chain.content.actions import Enrol
from chain.content.blocks import MAX_BLOCK_BYTES, Block, decode_heading, encode_block, heading_of
from chain.content.transactions import VerifiedTransaction
from chain.protocol import serving
from chain.protocol.messages import (
    FRAMING_BYTES,
    MAX_BLOCKS_PER_REQUEST,
    MAX_MESSAGE_BYTES,
    REPLY_BYTES,
    GetBlocks,
    GetHeadings,
    GetStatus,
    GetTransactions,
    RawItems,
    Status,
)
from chain.protocol.serving import (
    KINDS,
    MAX_GIVEN,
    MAX_RECENT_BLOCKS,
    Given,
    Kind,
    Question,
    answer,
    kind_of,
    read_reply,
)
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)


class Shelf:
    """A source with one branch, and transactions that wait; it counts what is taken from it."""

    def __init__(self, blocks: Iterable[Block] = (), waiting: Iterable[VerifiedTransaction] = ()) -> None:
        self.blocks = list(blocks)
        self.pool = {item.id: item for item in waiting}
        self.drawn = 0

    def status(self) -> Status:
        return Status(b"\x07" * 32, 7, 5, 3)

    def waiting(self, transaction_id: bytes) -> VerifiedTransaction | None:
        return self.pool.get(transaction_id)

    def newest_blocks(self) -> Iterable[Block]:
        for block in reversed(self.blocks):
            self.drawn += 1
            yield block

    def headings(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return map(heading_of, self.branch(tip_id, from_height))

    def branch(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        for block in self.blocks if any(block.id == tip_id for block in self.blocks) else ():
            if block.header.height >= from_height:
                self.drawn += 1
                yield encode_block(block)


@pytest.fixture
def blocks() -> list[Block]:
    return Forge(GENESIS).chain(12)


def enrolments(count: int) -> list[VerifiedTransaction]:
    return [Actor(GENESIS, 50 + number).sign(Enrol()) for number in range(count)]


def items(question: GetHeadings | GetBlocks | GetTransactions, source: Shelf) -> tuple[bytes, ...]:
    return read_reply(question, answer(question, source))


def test_a_status_is_told() -> None:
    assert Status.decode(answer(GetStatus(), Shelf())) == Status(b"\x07" * 32, 7, 5, 3)


@pytest.mark.parametrize(("start", "count"), [(1, 12), (3, 4), (12, 256), (13, 1)])
def test_blocks_are_served_from_the_height_asked_for(blocks: list[Block], start: int, count: int) -> None:
    wanted = [encode_block(block) for block in blocks[start - 1 :][:count]]
    assert list(items(GetBlocks(blocks[-1].id, start, count), Shelf(blocks))) == wanted


def test_headings_are_served_without_the_transactions(blocks: list[Block]) -> None:
    served = items(GetHeadings(blocks[-1].id, 3, 4), Shelf(blocks))
    assert [decode_heading(raw) for raw in served] == [(block.header, block.ballot) for block in blocks[2:6]]


@pytest.mark.parametrize("asked", [GetHeadings, GetBlocks])
def test_no_more_bytes_are_served_than_are_asked_for(blocks: list[Block], asked: type[GetHeadings | GetBlocks]) -> None:
    whole = items(asked(blocks[-1].id, 1, 12), Shelf(blocks))
    room = sum(len(raw) + FRAMING_BYTES for raw in whole[:5])
    assert items(asked(blocks[-1].id, 1, 12, room), Shelf(blocks)) == whole[:5]
    assert items(asked(blocks[-1].id, 1, 12, 1), Shelf(blocks)) == whole[:1]


def test_who_was_given_something_before_owes_for_it_and_nobody_else_does(blocks: list[Block]) -> None:
    given, tip = Given(), blocks[-1].id

    def debtor(asked: type[GetHeadings | GetBlocks], first: int, count: int, *askers: str) -> str | None:
        question = asked(tip, first, count)
        owes = given.debtor(question, askers)
        given.note(question, askers, answer(question, Shelf(blocks)))
        return owes

    assert debtor(GetBlocks, 1, 5, "peer") is None
    assert debtor(GetBlocks, 1, 5, "peer") == "peer"
    assert debtor(GetBlocks, 5, 5, "peer") == "peer", "one of them was given"
    assert debtor(GetBlocks, 10, 2, "peer") is None
    assert debtor(GetHeadings, 1, 5, "peer") is None, "headings are another matter"
    assert debtor(GetBlocks, 1, 5, "other") is None
    assert given.debtor(GetStatus(), ["peer"]) == "peer"


def test_a_fresh_identity_owes_for_what_its_neighbourhood_was_given(blocks: list[Block]) -> None:
    given, question = Given(), GetBlocks(blocks[-1].id, 1, 5)
    reply = answer(question, Shelf(blocks))
    given.note(question, ("first", "place"), reply)
    assert given.debtor(question, ("first", "place")) == "first"
    assert given.debtor(question, ("fresh", "place")) == "place"
    assert given.debtor(question, ("fresh", "elsewhere")) is None
    assert given.debtor(GetBlocks(blocks[-1].id, 6, 5), ("fresh", "place")) is None


def test_what_others_ask_for_first_does_not_lower_what_was_given(blocks: list[Block]) -> None:
    given, shelf, tip = Given(), Shelf(blocks), blocks[-1].id
    for first in (8, 1):
        question = GetBlocks(tip, first, 3)
        given.note(question, ("peer",), answer(question, shelf))
    assert given.debtor(GetBlocks(tip, 10, 1), ("peer",)) == "peer"


def test_askers_that_were_given_something_are_forgotten_some_day(blocks: list[Block]) -> None:
    given, question = Given(), GetBlocks(blocks[-1].id, 1, 1)
    reply = answer(question, Shelf(blocks))
    for number in range(MAX_GIVEN + 1):
        given.note(question, (f"peer{number}",), reply)
    assert given.debtor(question, ("peer1",)) == "peer1"
    assert given.debtor(question, ("peer0",)) is None


def test_of_an_unknown_tip_nothing_is_served(blocks: list[Block]) -> None:
    assert items(GetBlocks(bytes(32), 1, 5), Shelf(blocks)) == ()


def test_no_more_blocks_are_read_than_are_asked_for(blocks: list[Block]) -> None:
    shelf = Shelf(blocks)
    answer(GetBlocks(blocks[-1].id, 1, 3), shelf)
    assert shelf.drawn == 3


@pytest.mark.parametrize(("room", "fit"), [(0, 1), (1, 1), (2, 2), (5, 5)])
def test_a_reply_holds_what_fits_and_one_block_at_least(
    blocks: list[Block], monkeypatch: pytest.MonkeyPatch, room: int, fit: int
) -> None:
    sizes = [len(encode_block(block)) + FRAMING_BYTES for block in blocks]
    monkeypatch.setattr(serving, "REPLY_BYTES", sum(sizes[:room]))
    shelf = Shelf(blocks)
    assert len(items(GetBlocks(blocks[-1].id, 1, 12), shelf)) == fit
    assert shelf.drawn == fit + 1  # the first that does not fit is seen, and no more


def test_the_largest_reply_fits_a_message() -> None:
    full = RawItems((bytes(MAX_BLOCK_BYTES),)).encode()
    many = RawItems((bytes(MAX_BLOCK_BYTES // MAX_BLOCKS_PER_REQUEST - FRAMING_BYTES),) * MAX_BLOCKS_PER_REQUEST)
    assert max(len(full), len(many.encode())) <= MAX_MESSAGE_BYTES
    assert REPLY_BYTES == MAX_BLOCK_BYTES


def test_transactions_are_served_from_the_mempool_and_the_last_blocks_in_the_order_asked_for() -> None:
    one, two, three, four = enrolments(4)
    recorded = Forge(GENESIS).block(None, [two])
    question = GetTransactions((three.id, four.id, two.id, one.id))
    assert items(question, Shelf([recorded], [one, three])) == (three.raw, two.raw, one.raw)


def test_blocks_are_not_searched_where_the_mempool_has_it_all(blocks: list[Block]) -> None:
    shelf = Shelf(blocks, enrolments(2))
    assert len(items(GetTransactions(tuple(shelf.pool)), shelf)) == 2
    assert shelf.drawn == 0


@pytest.mark.parametrize(("depth", "found"), [(MAX_RECENT_BLOCKS, 1), (MAX_RECENT_BLOCKS + 1, 0)])
def test_only_the_last_blocks_are_searched(depth: int, found: int) -> None:
    forge, (wanted,) = Forge(GENESIS), enrolments(1)
    first = forge.block(None, [wanted])
    shelf = Shelf([first, *forge.chain(depth - 1, first)])
    assert len(items(GetTransactions((wanted.id,)), shelf)) == found
    assert shelf.drawn == MAX_RECENT_BLOCKS


def test_transactions_are_cut_to_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = enrolments(4)
    monkeypatch.setattr(serving, "REPLY_BYTES", sum(len(item.raw) + FRAMING_BYTES for item in waiting[:2]))
    question = GetTransactions(tuple(item.id for item in waiting))
    assert items(question, Shelf((), waiting)) == (waiting[0].raw, waiting[1].raw)


# ---------------------------------------------------------------------------------------------------------- kinds

QUESTIONS: list[Question] = [
    GetStatus(),
    GetHeadings(bytes(32), 1, 5),
    GetBlocks(bytes(32), 1, 5),
    GetTransactions((bytes(32), b"\x01" * 32)),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: type(question).__name__)
def test_a_question_is_read_as_it_was_written(question: Question) -> None:
    kind = kind_of(question)
    assert kind.decode(question.encode()) == question
    assert len(question.encode()) <= kind.max_request
    assert len(answer(question, Shelf())) <= kind.max_reply


def test_every_kind_has_a_name_of_its_own_and_a_question() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert {kind_of(question).name for question in QUESTIONS} == {kind.name for kind in KINDS}


def test_what_is_of_the_chain_is_read_from_the_disk() -> None:
    assert [kind.name for kind in KINDS if kind.is_stored] == ["headings", "blocks"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "status"], ids=lambda kind: kind.name)
def test_a_question_that_cannot_be_read_is_refused(kind: Kind) -> None:
    for data in (b"", b"\x92junk", bytes(kind.max_request + 1)):
        with pytest.raises(Refused):
            kind.decode(data)


@pytest.mark.parametrize("question", QUESTIONS[1:], ids=lambda question: type(question).__name__)
def test_a_reply_of_more_than_was_asked_for_is_refused(question: GetHeadings | GetBlocks | GetTransactions) -> None:
    wanted = 2 if isinstance(question, GetTransactions) else 5
    assert len(read_reply(question, RawItems((b"x",) * wanted).encode())) == wanted
    for reply in (RawItems((b"x",) * (wanted + 1)).encode(), b"\xc1", b"", bytes(MAX_MESSAGE_BYTES + 1)):
        with pytest.raises(Refused):
            read_reply(question, reply)
