"""What the HTTP face answers, before an engine that needs no network and no clock."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
import trio.testing

from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import did_from_key
from chain.base.merkle import verify
from chain.branches.blockchain import Blockchain
from chain.consensus.headers import decode_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Approve, Enrol, Rotate
from chain.content.blocks import Block
from chain.content.consents import sign_rotation
from chain.content.transactions import VerifiedTransaction
from chain.documents.words import instant
from chain.protocol.engine import Engine
from chain.protocol.events import Effect, Event, SigningState, Submitted
from chain.protocol.messages import Status
from chain.protocol.production import Producer
from p2p.local.config import HomeConfig
from p2p.local.endpoints import POLICY
from p2p.local.face import SUBMISSIONS_AT_ONCE, LocalFace
from p2p.local.home import Home, create_home, load_home
from p2p.local.telemetry import Telemetry
from p2p.network import Transport
from p2p.signatures import Signatures
from tests.support.resting import Whole
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(1)


class Peers:
    """Whom the network was told to cut off."""

    def __init__(self) -> None:
        self.cut: set[str] = set()

    def block(self, peer_ids: set[str]) -> None:
        self.cut = peer_ids

    def unblock(self) -> None:
        self.cut = set()

    def connected(self) -> list[object]:
        return [SimpleNamespace(peer_id="12D3", address="/ip4/1.2.3.4", direction="inbound", rtt_ms=None, score=-1.26)]

    def bans(self) -> dict[str, float]:
        return {"12D4": 61.04}


class Stage:
    """The only validator of a network; it makes a block when :meth:`make_block` says so."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.slot = 1
        self.engine = Engine(GENESIS, Blockchain(GENESIS), secret=home.secret, signing=SigningState())
        self.telemetry = Telemetry()
        self.peers = Peers()
        self.transport = cast(Transport, SimpleNamespace(peer_id="12D0", peers=self.peers))
        self.signatures = Signatures(GENESIS.id, self.engine.mempool.get)
        self.keeper = Whole()
        self.places: dict[bytes, Block] = {}

    def now_ms(self) -> int:
        return GENESIS.slot_start_ms(self.slot)

    async def ask(self, event: Event) -> list[Effect]:
        await trio.lowlevel.checkpoint()
        return self.engine.handle(event, self.now_ms() + GENESIS.slot_ms - 1)  # too late in the slot for a block

    async def locate(self, transaction_id: bytes) -> Block | None:
        await trio.lowlevel.checkpoint()
        return self.places.get(transaction_id)

    async def prove(self, key: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"proof of " + key

    def make_block(self, *transactions: VerifiedTransaction) -> None:
        self.slot += 1
        self.engine.handle(Submitted(transactions), self.now_ms())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    create_home(tmp_path / "node", GENESIS, secret(1).seed, HomeConfig())
    return Stage(load_home(tmp_path / "node"))


@pytest.fixture
def face(stage: Stage) -> LocalFace:
    return LocalFace(stage)


def rotation(ann: Actor, heir: Actor) -> VerifiedTransaction:
    return ann.sign(Rotate(heir.key, sign_rotation(heir.secret, GENESIS.id, ann.key, nonce=1)))


def test_where_the_node_stands(stage: Stage, face: LocalFace) -> None:
    stage.make_block(Actor(GENESIS, 100).sign(Enrol()))
    told, head = face.describe(), stage.engine.chain.head.header
    assert (told["height"], told["head_id"], told["state_root"]) == (1, head.id.hex(), head.state_root.hex())
    assert (told["slot"], told["mempool"], told["peers"], told["peer_id"]) == (2, 0, 1, "12D0")
    assert (told["network"], told["chain_id"]) == (GENESIS.name, GENESIS.id.hex())
    assert (told["validator"], told["silent"], told["syncing"]) == (True, False, False)


def health(face: LocalFace) -> tuple[str, str]:
    told = face.describe_health()
    return told["status"], told["why"] or ""


def test_a_node_that_peers_left_behind_is_not_well(stage: Stage, face: LocalFace) -> None:
    stage.make_block(Actor(GENESIS, 100).sign(Enrol()))
    head = stage.engine.chain.head.header
    assert health(face) == ("ok", "")
    sync = stage.engine.sync
    # what is final elsewhere is here as well
    sync.note("12D3", Status(bytes(32), 9, 9, head.height), b"a validator")
    assert health(face) == ("ok", "")
    # and now it is not, and nobody brings it
    sync.note("12D3", Status(bytes(32), 9, 9, 8))
    status, why = health(face)
    assert (status, "height 8" in why, "above 1 " in why) == ("behind", True, True)
    # or somebody is asked for it
    sync.next_requests(stage.engine.chain, stage.now_ms())
    assert health(face)[0] == "syncing"
    # that changes when the peer is gone
    sync.forget("12D3")
    assert health(face) == ("ok", "")


def test_no_claims_of_strangers_make_a_node_look_unwell(stage: Stage, face: LocalFace) -> None:
    stage.make_block(Actor(GENESIS, 100).sign(Enrol()))
    sync = stage.engine.sync
    for number in range(30):
        sync.note(f"stranger {number}", Status(bytes([number]) * 32, 99, 99, 99))
    assert health(face) == ("ok", "")
    sync.next_requests(stage.engine.chain, stage.now_ms())
    assert sync.is_downloading
    assert health(face) == ("ok", "")


def test_where_no_block_came_for_longer_than_a_chain_is_idle_a_node_is_not_well(stage: Stage, face: LocalFace) -> None:
    stage.make_block(Actor(GENESIS, 100).sign(Enrol()))
    stage.engine.producer = None  # an observer, with peers that claim no more than it has
    stage.slot += GENESIS.idle_slots
    assert health(face) == ("ok", "")
    stage.slot += 1
    status, why = health(face)
    assert (status, f"for {GENESIS.idle_slots + 1} slots" in why) == ("stalled", True)


def test_peers_and_bans(face: LocalFace) -> None:
    unknown = {"rtt_ms": None, "validator": None, "height": None, "finalized_height": None}
    assert face.describe_peers() == {
        "peers": [{"peer_id": "12D3", "address": "/ip4/1.2.3.4", "direction": "inbound", "score": -1.3, **unknown}],
        "banned": {"12D4": 61.0},
    }


def test_an_account_is_told_as_of_the_head_and_the_mempool(stage: Stage, face: LocalFace) -> None:
    ann, heir = Actor(GENESIS, 100), Actor(GENESIS, 101)
    stranger = face.describe_account(ann.key)
    known = {name: stranger.pop(name) for name in ("slot", "height", "policy_version")}
    assert known == {"slot": 1, "height": 0, "policy_version": 1}
    assert stranger == {
        "nonce": 0,
        "next_free": 0,
        "identity": None,
        "successor": None,
        "member": False,
        "authority": False,
        "validator": False,
    }
    assert face.describe_account(stage.home.secret.public)["validator"] is True
    stage.make_block(ann.sign(Enrol()))
    stage.engine.handle(Submitted((rotation(ann, heir),)), stage.now_ms())  # for the next block
    account = face.describe_account(ann.key)
    assert (account["nonce"], account["next_free"], account["height"]) == (1, 2, 1)
    assert (account["identity"], account["successor"]) == (did_from_key(ann.key), None)
    assert (account["member"], account["authority"], account["validator"]) == (True, False, False)


def test_a_key_that_was_left_names_its_successor(stage: Stage, face: LocalFace) -> None:
    ann, heir = Actor(GENESIS, 100), Actor(GENESIS, 101)
    stage.make_block(ann.sign(Enrol()), rotation(ann, heir))
    left, taken_up = face.describe_account(ann.key), face.describe_account(heir.key)
    assert (left["nonce"], left["successor"]) == (2, did_from_key(heir.key))
    assert (taken_up["nonce"], taken_up["identity"], taken_up["member"]) == (0, did_from_key(ann.key), True)


async def test_what_is_submitted_waits_and_what_is_wrong_has_its_reason(stage: Stage, face: LocalFace) -> None:
    enrolment = Actor(GENESIS, 100).sign(Enrol())
    foreign = Actor(genesis_of(2), 101).sign(Enrol())
    outcomes = await face.submit((b"junk", enrolment.raw, foreign.raw, Actor(GENESIS, 102).sign(Approve(0)).raw))
    reasons = [None if outcome is None else outcome.reason for outcome in outcomes]
    assert reasons == [Reason.MALFORMED, None, Reason.BAD_SIGNATURE, Reason.NOT_VALIDATOR]
    told = await face.find_transaction(enrolment.id)
    assert (told["state"], told["height"], told["raw"]) == ("waiting", None, enrolment.raw.hex())


async def test_where_too_many_wait_clients_are_told_to_come_back_before_anything_is_checked(
    stage: Stage, face: LocalFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain.protocol.throttle.WAITING_BLOCKS", 0)
    (outcome,) = await face.submit((Actor(GENESIS, 100).sign(Enrol()).raw,))
    assert outcome is not None
    assert outcome.reason is Reason.POOL_FULL
    assert stage.signatures.checked == 0


async def test_submissions_wait_for_each_other(stage: Stage, face: LocalFace) -> None:
    started, released = 0, trio.Event()

    async def outcomes(_raws: tuple[bytes, ...], _screen: object) -> list[Refused]:
        nonlocal started
        started += 1
        await released.wait()
        return []

    stage.signatures.outcomes = outcomes  # type: ignore[assignment, method-assign]
    async with trio.open_nursery() as nursery:
        for _ in range(SUBMISSIONS_AT_ONCE + 3):
            nursery.start_soon(face.submit, (b"",))
        await trio.testing.wait_all_tasks_blocked()
        assert started == SUBMISSIONS_AT_ONCE
        released.set()
    assert started == SUBMISSIONS_AT_ONCE + 3


async def test_where_a_transaction_is(stage: Stage, face: LocalFace) -> None:
    enrolments = [Actor(GENESIS, 100 + number).sign(Enrol()) for number in range(3)]
    for enrolment in enrolments:
        stage.make_block(enrolment)
        block = stage.engine.chain.head.block
        assert block is not None
        stage.places[enrolment.id] = block
    at = stage.engine.chain.finalized.height
    assert 1 <= at < 3, "something is final, and not all"
    for height, enrolment in enumerate(enrolments, 1):
        told = await face.find_transaction(enrolment.id)
        assert (told["state"], told["height"]) == ("final" if height <= at else "included", height)
        path = tuple(bytes.fromhex(node) for node in told["path"])
        root = decode_header(bytes.fromhex(told["header"])).transaction_root
        assert verify(root, enrolment.id, told["index"], told["count"], path)
        assert told["transaction"]["kind"] == "Enrol".lower()
    told = await face.find_transaction(bytes(32))
    assert (told["state"], told["height"], told["path"], told["raw"]) == ("unknown", None, None, None)


async def test_a_trial_keeps_nothing_and_finds_bad_signatures(stage: Stage, face: LocalFace) -> None:
    ann = Actor(GENESIS, 100)
    foreign = Actor(genesis_of(2), 101).sign(Enrol())
    outcomes = await face.try_out((ann.sign(Enrol()).raw, foreign.raw, ann.sign(Approve(0)).raw, b"junk"))
    reasons = [None if outcome is None else outcome.reason for outcome in outcomes]
    assert reasons == [None, Reason.BAD_SIGNATURE, Reason.NOT_VALIDATOR, Reason.MALFORMED]
    assert (len(stage.engine.mempool), face.describe_account(ann.key)["nonce"]) == (0, 0)


async def test_the_policy_in_force(face: LocalFace) -> None:
    tag, body = await face.answer(POLICY, {}, None)
    told = json.loads(body or b"")
    assert (told["version"], told["announced"], told["as_of_height"]) == (1, None, 0)
    assert told["policy"] == GENESIS.policy.to_document()
    assert await face.answer(POLICY, {}, tag) == (tag, None)


def test_peers_are_cut_off_only_where_the_operator_allows_it(stage: Stage, face: LocalFace, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="allow_partitions"):
        face.partition({"12D3"})
    create_home(tmp_path / "other", GENESIS, secret(1).seed, HomeConfig(allow_partitions=True))
    stage.home = load_home(tmp_path / "other")
    face.partition({"12D3"})
    assert stage.peers.cut == {"12D3"}
    face.partition(None)
    assert stage.peers.cut == set()


def test_a_silent_validator_says_why_and_when_it_signs_again(stage: Stage, face: LocalFace) -> None:
    stage.make_block()
    told = face.describe()
    assert (told["silent"], told["silent_why"], told["signs_again"]) == (False, None, None)
    stage.engine.producer = Producer(GENESIS, secret(1), SigningState(slot=1_000), NO_TAG)
    told = face.describe()
    assert (told["silent"], "slot 1000" in told["silent_why"]) == (True, True)
    assert told["signs_again"] == instant(GENESIS.slot_start_ms(1_001))
    stage.engine.producer = Producer(GENESIS, secret(1), None, NO_TAG)
    stage.make_block()
    told = face.describe()
    assert (told["silent"], told["silent_why"].startswith("its signing state was lost")) == (True, True)
    assert told["signs_again"] is None
