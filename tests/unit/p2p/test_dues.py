"""Who waits for what it takes of a chain: who had it before, under whatever name, and who shares an address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from itertools import count

import pytest

from chain.branches.blockchain import Blockchain
from chain.content.actions import Enrol
from chain.content.blocks import Block, encode_block, heading_of
from chain.protocol import serving
from chain.protocol.admission import AdmittedClaim
from chain.protocol.engine import Engine
from chain.protocol.events import (
    Ask,
    AskStatus,
    BlocksReceived,
    Dismiss,
    Event,
    HeadingsReceived,
    Penalise,
    RequestFailed,
    StatusReceived,
    Tick,
)
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions, Status
from chain.protocol.serving import Question
from p2p import dues as module
from p2p.dues import Dues, Inquiry
from p2p.prices import Prices
from p2p.requests import TURN_TIMEOUT_S
from tests.support.forge import Forge, heading
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)
HOST, ELSEWHERE = "80.1.2.3", "81.4.5.6"
WAY_MS = 20
RATE, LENT = 20_000, 60_000


@cache
def chain() -> list[Block]:
    forge, blocks = Forge(GENESIS), list[Block]()
    for number in range(40):
        members = [Actor(GENESIS, 100 + 40 * number + each).sign(Enrol()) for each in range(40)]
        blocks.append(forge.block(blocks[-1] if blocks else None, members))
    return blocks


class Archive:
    """What a node serves of the chain, all of it in one branch."""

    def branch(self, _tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return map(encode_block, chain()[from_height - 1 :])

    def headings(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return map(heading_of, self.branch(tip_id, from_height))


def reply_to(question: GetHeadings | GetBlocks) -> bytes:
    return serving.answer(question, Archive())  # type: ignore[arg-type]


@dataclass
class Server:
    """A node that keeps to its dues, on a clock that is told."""

    now_ms: int = 0
    sent: int = 0
    dues: Dues = field(init=False)

    def __post_init__(self) -> None:
        self.dues = Dues(lambda: self.now_ms / 1_000)
        self.dues.prices = Prices()

    def wait_ms(self, inquiry: Inquiry) -> int:
        return -int(-1_000 * self.dues.open(inquiry).wait_s() // 1)

    def answer(self, inquiry: Inquiry, question: GetHeadings | GetBlocks) -> bytes:
        return self.give(inquiry, reply_to(question))

    def give(self, inquiry: Inquiry, reply: bytes) -> bytes:
        self.dues.open(inquiry).charge(reply)
        self.sent += len(reply)
        return reply


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the usual rates, as the chain is short."""
    monkeypatch.setattr(module, "DEBTOR_RATE", (RATE, LENT))
    monkeypatch.setattr(module, "TOTAL_RATE", (2 * RATE, 2 * LENT))
    monkeypatch.setattr(module, "SHARE_RATE", (RATE // 32, LENT // 3))


def inquiry(question: Question, peer: str, host: str = HOST) -> Inquiry:
    return Inquiry(serving.kind_of(question).name, peer, host, question.encode())


# ------------------------------------------------------------------------------------------------ fresh identities


@pytest.mark.usefixtures("slow")
def test_a_fresh_identity_for_each_request_gets_a_chain_once_and_then_waits() -> None:
    server, question = Server(), GetBlocks(chain()[-1].id, 1, 256)
    size, seconds = len(reply_to(question)), 30
    for number in count():
        asked = inquiry(question, f"fresh{number}")
        server.now_ms += server.wait_ms(asked)
        if server.now_ms > 1_000 * seconds:
            break
        server.answer(asked, question)
    assert server.sent <= LENT + RATE * seconds + 2 * size


@pytest.mark.usefixtures("slow")
def test_what_is_new_to_a_neighbourhood_waits_for_nobody() -> None:
    server, question = Server(), GetBlocks(chain()[-1].id, 1, 256)
    for number in range(9):
        server.answer(inquiry(question, f"fresh{number}"), question)
    assert server.wait_ms(inquiry(question, "next")) > 0
    assert server.wait_ms(inquiry(question, "honest", ELSEWHERE)) == 0
    assert server.wait_ms(inquiry(question, "unplaced", "127.0.0.1")) == 0


@pytest.mark.usefixtures("slow")
def test_what_one_of_a_neighbourhood_asks_for_again_is_its_own_debt() -> None:
    server, question = Server(), GetBlocks(chain()[-1].id, 1, 256)
    for _ in range(3):
        server.answer(inquiry(question, "greedy"), question)
    alone = server.wait_ms(inquiry(question, "greedy"))
    assert 0 < server.wait_ms(inquiry(question, "modest")) < alone, "only what all together owe"


def test_a_question_that_cannot_be_read_is_charged_to_its_peer() -> None:
    assert Prices().order(Inquiry("blocks", "peer", HOST, b"\x92junk")).debtor() == "peer"


def test_a_question_is_read_once_however_often_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr("p2p.prices._of_the_chain", lambda asked: read.append(asked.request))
    account = Dues(lambda: 0.0)
    account.prices = Prices()
    opened = account.open(inquiry(GetBlocks(chain()[-1].id, 1, 256), "peer"))
    assert [opened.wait_s(), opened.wait_s()] == [0.0, 0.0]
    opened.charge(b"reply")
    assert len(read) == 1


# --------------------------------------------------------------------------------------------- who takes all there is

WANTED = GetTransactions((bytes(32),))
REPLY = bytes(LENT // 3)


def taken(server: Server, names: int, hosts: int, seconds: int) -> None:
    """So many strangers take what they get, again and again."""
    strangers = [inquiry(WANTED, f"greedy{number}", f"11.{number % hosts}.0.1") for number in range(names)]
    for _ in range(10 * seconds):
        server.now_ms += 100
        for asked in strangers:
            if server.wait_ms(asked) == 0:
                server.give(asked, REPLY)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(("names", "hosts"), [(8, 1), (8, 8)], ids=["of one host", "of eight"])
def test_others_get_what_they_lack_while_strangers_take_all_there_is(names: int, hosts: int) -> None:
    server = Server()
    taken(server, names, hosts, 60)
    assert server.wait_ms(inquiry(WANTED, "greedy0", "11.0.0.1")) > 0
    assert server.wait_ms(inquiry(WANTED, "newcomer", ELSEWHERE)) == 0
    server.dues.is_reserved = lambda peer_id: peer_id == "validator"
    assert server.wait_ms(inquiry(WANTED, "validator", "11.0.0.1")) == 0, "also beside those that take it"


@pytest.mark.usefixtures("slow")
def test_a_name_for_each_request_is_no_share_for_each_on_one_host_and_on_loopback() -> None:
    for host in (HOST, "127.0.0.1"):
        server, seconds = Server(), 60
        for number in range(10 * seconds):
            if server.wait_ms(asked := inquiry(WANTED, f"fresh{number}", host)) == 0:
                server.give(asked, REPLY)
            server.now_ms += 100
        assert server.sent <= 2 * LENT + 2 * RATE * seconds + RATE // 32 * seconds + 3 * len(REPLY)


@pytest.mark.usefixtures("slow")
def test_who_has_a_place_waits_for_its_own_debts() -> None:
    server = Server()
    server.dues.is_reserved = lambda _peer_id: True
    for _ in range(9):
        server.give(inquiry(WANTED, "validator"), REPLY)
    assert server.wait_ms(inquiry(WANTED, "validator")) > 0


# ---------------------------------------------------------------------------------------------- behind one address


class Household:
    """Fresh nodes behind one address, all of which have one peer to ask."""

    def __init__(self, members: int) -> None:
        self.server = Server(GENESIS.slot_start_ms(1_000))
        self.engines = {f"member{number}": Engine(GENESIS, Blockchain(GENESIS)) for number in range(members)}
        self._queue: list[tuple[int, int, str, Event | tuple[Ask, int]]] = []
        self._numbers = count()
        for name in self.engines:
            self._claim(name)

    @property
    def is_synced(self) -> bool:
        return all(engine.chain.head.header.id == chain()[-1].id for engine in self.engines.values())

    def run(self, end_ms: int) -> None:
        """Until all have the chain, or for so long."""
        while not self.is_synced and self.server.now_ms < end_ms:
            wake_ms = min(engine.wake_ms(self.server.now_ms) for engine in self.engines.values())
            if self._queue and self._queue[0][0] <= wake_ms:
                self.server.now_ms, _, name, what = heappop(self._queue)
                self._answer(name, *what) if isinstance(what, tuple) else self._handle(name, what)
            else:
                self.server.now_ms = max(self.server.now_ms + 1, wake_ms)
                for name in self.engines:
                    self._handle(name, Tick())

    def _handle(self, name: str, event: Event) -> None:
        for effect in self.engines[name].handle(event, self.server.now_ms):
            if isinstance(effect, AskStatus):
                self._claim(name)
            elif isinstance(effect, Ask):
                self._later(WAY_MS, name, (effect, self.server.now_ms + round(1_000 * TURN_TIMEOUT_S)))
            assert not isinstance(effect, Dismiss | Penalise)

    def _claim(self, name: str) -> None:
        head = chain()[-1].header
        self._later(
            2 * WAY_MS, name, StatusReceived("server", AdmittedClaim(Status(head.id, head.height, head.mhp, 0)))
        )

    def _answer(self, name: str, ask: Ask, give_up_ms: int) -> None:
        request = ask.request
        assert not isinstance(request, GetTransactions)
        asked = inquiry(request, name)
        wait_ms = self.server.wait_ms(asked)
        if self.server.now_ms + wait_ms > give_up_ms:
            self._later(WAY_MS, name, RequestFailed(ask.peer, request))
        elif wait_ms:
            self._later(wait_ms, name, (ask, give_up_ms))
        else:
            reply = serving.read_reply(request, self.server.answer(asked, request))
            blocks = chain()[request.from_height - 1 :][: len(reply)]
            event: Event = (
                BlocksReceived(ask.peer, request, tuple(blocks))
                if isinstance(request, GetBlocks)
                else (HeadingsReceived(ask.peer, request, tuple(map(heading, blocks))))
            )
            self._later(WAY_MS, name, event)

    def _later(self, delay_ms: int, name: str, what: Event | tuple[Ask, int]) -> None:
        heappush(self._queue, (self.server.now_ms + delay_ms, next(self._numbers), name, what))


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("members", [1, 4])
def test_all_behind_one_address_get_the_chain_if_slower(members: int) -> None:
    household = Household(members)
    began_ms, size = household.server.now_ms, len(reply_to(GetBlocks(chain()[-1].id, 1, 256)))
    assert size > 2 * LENT
    household.run(began_ms + 600_000)
    assert household.is_synced
    took_s = (household.server.now_ms - began_ms) / 1_000
    assert took_s < (2 if members == 1 else 3 * members * size / RATE), took_s
