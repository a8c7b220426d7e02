"""Whatever peers do, a node with one honest peer gets its chain, and asks nobody without end."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.branches.blockchain import Blockchain
from chain.content.blocks import Block
from chain.protocol.admission import AdmittedClaim
from chain.protocol.engine import Engine
from chain.protocol.events import (
    Ask,
    AskStatus,
    BlocksReceived,
    Dismiss,
    Effect,
    Event,
    HeadingsReceived,
    PeerLost,
    Penalise,
    RequestFailed,
    StatusReceived,
    Tick,
)
from chain.protocol.messages import GetHeadings, GetTransactions, Status
from tests.support.forge import Forge, heading
from tests.support.world import genesis_of

GENESIS = genesis_of(4)
FORGE = Forge(GENESIS)
CHAIN = FORGE.chain(70)
FORK = [*CHAIN[:20], *FORGE.chain(30, CHAIN[19], slot=200)]
LATE_MS, TIMEOUT_MS, RUN_MS = 9_000, 10_000, 60_000
# What a peer does with a request: all it is asked for, nothing, late, one item, a gap, another branch, or no reply.
DEEDS = ("serve", "nothing", "late", "one", "gap", "fork", "silence")


class Network:
    """An engine, and peers of whom each does what its list says, one request after the other, and over again."""

    def __init__(self, deeds: dict[str, list[str]]) -> None:
        self.engine = Engine(GENESIS, Blockchain(GENESIS))
        self.now_ms = GENESIS.slot_start_ms(1_000)
        self.asked: dict[str, int] = dict.fromkeys(deeds, 0)
        self._deeds = deeds
        self._queue: list[tuple[int, int, Event]] = []
        self._numbers = count()
        self._gone: set[str] = set()
        for peer in deeds:
            self._later(0, self._claim(peer))

    def run(self) -> None:
        """Let a minute pass."""
        end_ms = self.now_ms + RUN_MS
        while self.now_ms < end_ms:
            wake_ms = max(self.now_ms + 1, self.engine.wake_ms(self.now_ms))
            if self._queue and self._queue[0][0] <= wake_ms:
                self.now_ms, _, event = heappop(self._queue)
                self._handle(event)
            else:
                self.now_ms = wake_ms
                self._handle(Tick())

    def _handle(self, event: Event) -> None:
        for effect in self.engine.handle(event, self.now_ms):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Ask(peer, request) if not isinstance(request, GetTransactions):
                self._answer(peer, effect)
            case AskStatus(peer) if peer not in self._gone:
                self._later(5, self._claim(peer))
            case Penalise(peer) | Dismiss(peer) if peer != "honest":
                self._gone.add(peer)
                self._later(5, PeerLost(peer))
            case Penalise() | Dismiss():
                raise AssertionError("an honest peer is blamed")
            case _:
                pass

    def _answer(self, peer: str, ask: Ask) -> None:
        request = ask.request
        assert not isinstance(request, GetTransactions)
        deed = self._deeds[peer][self.asked[peer] % len(self._deeds[peer])]
        self.asked[peer] += 1
        blocks = (FORK if deed == "fork" else CHAIN)[request.from_height - 1 :][: request.count]
        match deed:
            case "silence":
                self._later(TIMEOUT_MS, RequestFailed(peer, request))
                return
            case "nothing":
                blocks = []
            case "one" | "late":
                blocks = blocks[:1]
            case "gap":
                blocks = [*blocks[:2], *blocks[3:]]
            case _:
                pass
        self._later(LATE_MS if deed == "late" else 20, self._reply(peer, request, blocks))

    @staticmethod
    def _reply(peer: str, request: object, blocks: list[Block]) -> Event:
        if isinstance(request, GetHeadings):
            return HeadingsReceived(peer, request, tuple(map(heading, blocks)))
        return BlocksReceived(peer, request, tuple(blocks))  # type: ignore[arg-type]

    def _claim(self, peer: str) -> Event:
        head = CHAIN[-1].header
        status = Status(head.id, head.height, head.mhp, 0)
        if peer != "honest":
            status = Status(b"\x99" * 32, 900, 899, 0)
        return StatusReceived(peer, AdmittedClaim(status))

    def _later(self, delay_ms: int, event: Event) -> None:
        heappush(self._queue, (self.now_ms + delay_ms, next(self._numbers), event))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(DEEDS), min_size=1, max_size=4), max_size=12))
def test_one_honest_peer_is_enough_whatever_the_others_do(liars: list[list[str]]) -> None:
    deeds = {f"liar{number}": deed for number, deed in enumerate(liars)}
    network = Network({**deeds, "honest": ["serve"]})
    network.run()
    assert network.engine.chain.head.header.id == CHAIN[-1].id
    assert max(network.asked.values()) < 100
    assert not network.engine.sync.skeleton or len(network.engine.sync.skeleton) <= 900
