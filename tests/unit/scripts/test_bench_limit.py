"""The open loop of ``scripts/bench.py``: what is due when, when it is too much, and what the loader does."""

from __future__ import annotations

import httpx
import pytest
import trio
from prometheus_client import generate_latest
from trio.testing import MockClock

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey
from chain.content.actions import Enrol, Rate
from chain.content.genesis import found_genesis
from chain.content.policyfile import shipped_policy
from chain.content.transactions import decode_transaction, verify_transaction
from p2p.client import AsyncClient, HeadMove
from p2p.local.telemetry import Telemetry
from scripts.bench_parts.limit import MISSED, PATIENT_SLOTS, WITHIN_SLOTS, most_taken, trouble
from scripts.bench_parts.offer import AWAY, Loader, Offer, Presigner, loader_ceiling
from scripts.bench_parts.quiet import sent_bytes
from scripts.testnet_parts.feed import BATCH


def blocks(*slots: int, transactions: int = 100) -> dict[int, HeadMove]:
    return {slot: HeadMove(slot, "", slot, slot, transactions, 0, made_here=False) for slot in slots}


def test_a_steady_offer_is_due_evenly() -> None:
    assert [Offer(100).due_s(number) for number in (0, 50, 100)] == [0, 0.5, 1]


def test_a_rising_offer_is_due_ever_faster() -> None:
    rise = Offer(100, growth_per_s=20)
    assert rise.rate(5) == 200
    assert rise.count(200) == 750  # 150 a second on average, for five seconds
    assert rise.due_s(750) == pytest.approx(5)


def test_it_is_too_much_when_slots_are_missed() -> None:
    slots = range(10, 30)
    assert trouble(blocks(*slots), slots, 0, 100, {}) is None
    one_missed = blocks(*(set(slots) - {28}))
    assert MISSED == 2
    assert trouble(one_missed, slots, 0, 100, {}) is None
    assert trouble(blocks(*(set(slots) - {25, 28})), slots, 0, 100, {}) == f"2 of {WITHIN_SLOTS} slots missed"
    assert trouble(blocks(*(set(slots) - {12, 28})), slots, 0, 100, {}) is None, "long ago"


def test_it_is_too_much_when_anything_is_refused_or_piles_up() -> None:
    slots = range(10, 30)
    assert trouble(blocks(*slots), slots, PATIENT_SLOTS * 100, 100, {}) is None
    assert trouble(blocks(*slots), slots, 401, 100, {}) == "401 wait for a block"
    assert trouble(blocks(*slots), slots, 0, 100, {"pool_full": 3}) == "3 refused (pool_full)"


def test_the_limit_is_what_some_slots_in_a_row_took() -> None:
    taken = blocks(1, 2, 3) | blocks(4, 5, 6, 7, 8, transactions=300) | blocks(10, transactions=900)
    assert most_taken(taken, range(1, 9)) == 300
    assert most_taken(taken, range(6, 11)) == (300 * 3 + 900) / 5, "a missed slot took nothing"
    assert most_taken(taken, range(1, 3)) == 0


def answering(*answers: httpx.Response) -> httpx.MockTransport:
    left = list(answers)
    return httpx.MockTransport(lambda _request: left.pop(0))


def outcomes(*refused: int) -> httpx.Response:
    rows = [{"reason": "pool_full", "detail": ""} if number in refused else None for number in range(BATCH)]
    return httpx.Response(200, json={"outcomes": rows})


async def test_the_loader_sends_on_whatever_it_is_told(autojump_clock: MockClock) -> None:
    raws = [number.to_bytes(4, "big") for number in range(3 * BATCH)]
    transport = answering(outcomes(1, 2), httpx.Response(503), outcomes())
    async with AsyncClient(transport=transport) as client:
        loader = Loader(client, ["http://one", "http://two"])
        began = trio.current_time()
        await loader.send(raws, Offer(BATCH))
    assert [due - began for due in loader.due] == [0, 1, 2]
    assert loader.refused == {"pool_full": 2, AWAY: BATCH}
    assert sorted(loader.back) == [raws[1], raws[2], *raws[BATCH : 2 * BATCH]]


async def test_a_slow_loader_sends_small_batches_so_that_each_slot_has_something(autojump_clock: MockClock) -> None:
    async with AsyncClient(transport=answering(*5 * [httpx.Response(503)])) as client:
        loader = Loader(client, ["http://one"], batch=10)
        began = trio.current_time()
        await loader.send([b""] * 50, Offer(10))
    assert [due - began for due in loader.due] == [0, 1, 2, 3, 4]
    assert loader.refused == {AWAY: 50}


async def test_a_stopped_loader_sends_no_more(autojump_clock: MockClock) -> None:
    async with AsyncClient(transport=answering(outcomes())) as client:
        loader = Loader(client, ["http://one"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loader.send, [b""] * 3 * BATCH, Offer(BATCH))
            await trio.sleep(0.5)
            loader.is_stopped = True
    assert len(loader.due) == 1


async def test_the_sink_takes_everything() -> None:
    async with AsyncClient() as client:
        assert await loader_ceiling(client, [bytes(150)] * 4 * BATCH) > 0


def test_what_nodes_sent_is_read_from_their_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.local.metrics.TRAFFIC", {"sent": 12_345_678, "received": 1})
    text = generate_latest(Telemetry().registry).decode()
    assert sent_bytes(text) == 12_345_678
    with pytest.raises(OperatorError, match="this version"):
        sent_bytes("goodfaith_consensus_height 3.0")


def test_what_is_signed_beforehand_is_valid_and_leaves_no_gaps() -> None:
    secret = SecretKey(bytes(31) + b"\x01")
    genesis = found_genesis("bench", shipped_policy("marketplace"), [secret.public], genesis_time_ms=0, slot_ms=1_000)
    with Presigner(genesis, bytes(32), members=5, ratings=20) as signer:
        signed = [decode_transaction(raw) for count in (5, 12, 8) for raw in signer.sign(count)]
    nonces: dict[bytes, int] = {}
    for transaction in signed:
        verify_transaction(transaction, genesis.id)
        assert transaction.nonce == nonces.get(transaction.actor, 0)
        nonces[transaction.actor] = transaction.nonce + 1
    assert [type(transaction.action) for transaction in signed] == [Enrol] * 5 + [Rate] * 20
