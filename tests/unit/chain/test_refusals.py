"""Every reason for a refusal: one hostile example each, and what is to be done about its sender."""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from chain.base.codec import decode, encode
from chain.base.errors import Disposition, InvariantBroken, OperatorError, Reason, Refused
from chain.base.keys import check_public_key
from chain.base.merkle import merkle_root
from chain.branches.blockchain import Blockchain
from chain.branches.ledger import Ledger
from chain.consensus.ballots import EMPTY, decode_ballot, make_ballot
from chain.consensus.electorate import NOTHING_DECIDED, Decision, Electorate, ValidatorSet
from chain.consensus.headers import decode_header, verify_header
from chain.consensus.judgement import judge
from chain.consensus.restart import Restart, restarted
from chain.consensus.votes import CARRIED_PER_SPEAKER
from chain.content import blocks
from chain.content.actions import Action, Enrol, Rate
from chain.content.blocks import Block, assemble
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from chain.protocol.admission import check_clock
from chain.protocol.events import Commit, Notice
from chain.protocol.mempool import Mempool
from chain.register.draft import Draft
from chain.register.registry import apply, genesis_state
from chain.register.validators import ADD, JAIL, MAX_QUEUED, RELEASE, REMOVE, Change, genesis_validators, request
from tests.support.forge import Forge, Rig, announced, blockchain, only
from tests.support.hostile_acts import REGISTRY_CASES
from tests.support.world import FAR, genesis_of, secret

ROOT = Path(__file__).parents[3]
GENESIS = genesis_of(4)
ANN, BOB = secret(50), secret(51)
LEADER = secret(1).public
BLAME, IGNORE, LATER = Disposition.BLAME, Disposition.IGNORE, Disposition.LATER
Case = Callable[[pytest.MonkeyPatch], object]


def signed(nonce: int, action: Action, expiry: int = 50) -> VerifiedTransaction:
    return sign_transaction(ANN, GENESIS.id, nonce, expiry, action)


def recorded(nonce: int, action: Action, expiry: int = 50) -> Case:
    """A transaction of Ann tried at height 10, where she and Bob are enrolled."""

    def case(_: pytest.MonkeyPatch) -> None:
        draft = Draft(genesis_state(GENESIS), GENESIS, 10, 10)
        for member in (ANN, BOB):
            apply(draft, sign_transaction(member, GENESIS.id, 0, 50, Enrol()))
        apply(draft, signed(nonce, action, expiry))

    return case


def offered(*transactions: VerifiedTransaction, bound: str = "", value: int = 0) -> Case:
    """Transactions of a member offered to a mempool, perhaps with a smaller bound."""

    def case(patch: pytest.MonkeyPatch) -> None:
        if bound:
            patch.setattr(f"chain.protocol.{bound}", value)
        pool = Mempool(lambda _: 1)
        for transaction in transactions:
            pool.add(transaction, 10)

    return case


def grown(after: int = 3, *, length: int = 3, at_least: int = 0, **fields: Any) -> Case:
    """A block with odd ``fields`` on top of block number ``after`` of a chain of ``length`` blocks."""

    def case(_: pytest.MonkeyPatch) -> None:
        forge = Forge(GENESIS)
        trunk = forge.chain(length)
        chain = blockchain(GENESIS, trunk)
        for number in range(at_least):
            chain.add(forge.block(trunk[after - 1], slot=20, mhg=900 + number), arrived_in_slot=True)
        block = forge.block(trunk[after - 1], **fields)
        chain.add(block, arrived_in_slot=True, judged=chain.check(block.header, block.ballot, solicited=False))

    return case


def on_an_invalid_block(_: pytest.MonkeyPatch) -> None:
    forge = Forge(GENESIS)
    bad = forge.block(None, state_root=bytes(32))
    chain = blockchain(GENESIS, [])
    with pytest.raises(Refused):
        chain.add(bad, arrived_in_slot=True)
    chain.add(forge.block(bad), arrived_in_slot=True)


def with_transactions(count: int, *, root_of: int = 0, max_bytes: int | None = None) -> Case:
    def case(patch: pytest.MonkeyPatch) -> Block:
        if max_bytes is not None:
            patch.setattr(blocks, "MAX_BODY_BYTES", max_bytes)
        body = [signed(0, Enrol())] * count
        header = Forge(GENESIS).block(None, transaction_root=merkle_root([item.id for item in body[root_of:]])).header
        return assemble(header, EMPTY, body)

    return case


def executed(*transactions: VerifiedTransaction) -> Case:
    return lambda _: Ledger(GENESIS).extend(Forge(GENESIS).block(None, transactions), FIRST)


FIRST = Electorate(1, ValidatorSet(GENESIS.validators))


def requested(*changes: Change) -> Case:
    def case(_: pytest.MonkeyPatch) -> None:
        validators = genesis_validators(GENESIS)
        for change in changes:
            validators = request(validators, change, batch=4, height=1)

    return case


def too_far_ahead_to_tell(_: pytest.MonkeyPatch) -> None:
    header = Forge(GENESIS).block(None, slot=40, height=40, parent=bytes(32), signer=secret(77)).header
    Blockchain(GENESIS).check_leader(header)


def carried(length: int = 5, **fields: Any) -> Case:
    """A block that carries what a validator says of the tip of a chain on which everybody speaks; ``fields`` differ."""

    def case(_: pytest.MonkeyPatch) -> None:
        forge = Forge(GENESIS)
        blocks = forge.attested(length)
        said = forge.attest(blocks[-1], fields.pop("speaker", 3), **fields)
        chain = blockchain(GENESIS, blocks)
        chain.add(forge.block(blocks[-1], carrying=[said]), arrived_in_slot=True)

    return case


def unordered(_: pytest.MonkeyPatch) -> None:
    forge = Forge(GENESIS)
    rows = [each.carried for each in forge.attestations(forge.block())]
    decode_ballot(encode((tuple(sorted(rows, reverse=True)), NOTHING_DECIDED, ())))


def more_than_may_be_carried(_: pytest.MonkeyPatch) -> None:
    forge = Forge(GENESIS)
    tip = forge.block()
    said = [forge.attest(tip, speaker) for speaker in range(10, 10 + 4 * CARRIED_PER_SPEAKER + 1)]
    blockchain(GENESIS, [tip]).add(forge.block(tip, carrying=said), arrived_in_slot=True)


def decided(*decisions: Decision, slot: int = 0) -> Case:
    """Blocks of which each says that it decides this; the last one in ``slot``."""

    def case(_: pytest.MonkeyPatch) -> None:
        forge, blocks = Forge(GENESIS), list[Block]()
        votes = blockchain(GENESIS, []).head.votes
        for decision in (*decisions, NOTHING_DECIDED):
            at = slot if slot and len(blocks) == len(decisions) else None
            blocks.append(forge.block(blocks[-1] if blocks else None, decision=decision, slot=at))
            votes = judge(blocks[-1].header, blocks[-1].ballot, votes, GENESIS.id)

    return case


def with_another_ballot(_: pytest.MonkeyPatch) -> None:
    block = Forge(GENESIS).block()
    assemble(block.header, make_ballot((), Decision(barred=((),))), [])


def with_a_restart_from_elsewhere(_: pytest.MonkeyPatch) -> None:
    restarted(blockchain(GENESIS, []).head.votes, Restart(bytes(32), 7, bytes(16)), bytes(32), GENESIS.id)


def from_the_future(_: pytest.MonkeyPatch) -> None:
    rig = Rig(GENESIS)
    (notice,) = only(rig.handle(announced(Forge(GENESIS).block(slot=9))), Notice)
    assert "future_slot" in notice.text
    check_clock(GENESIS, Forge(GENESIS).block(slot=9).header, rig.now_ms)


def of_a_pruned_home(_: pytest.MonkeyPatch) -> None:
    trunk = Forge(GENESIS).chain(3)
    with TemporaryDirectory() as folder:
        path = Path(folder, DATABASE)
        Storage.create(path, GENESIS, None)
        with closing(Storage(path, GENESIS)) as storage, closing(Reader(path, GENESIS)) as reader:
            storage.commit([Commit(adopted=tuple(trunk))])
            storage.bodies._strip(trunk[0].header.id)
            list(reader.branch(trunk[-1].id, 1))


def forged(_: pytest.MonkeyPatch) -> None:
    raw = Forge(GENESIS).block().header.raw
    verify_header(decode_header(raw), genesis_of(3).id)


GOOD = Rate(BOB.public, 1, 1)
CASES: dict[Reason, tuple[Disposition, Case]] = {
    Reason.MALFORMED: (BLAME, lambda _: decode(b"\xc1", max_bytes=9)),
    Reason.TOO_LARGE: (BLAME, lambda _: decode(bytes(10), max_bytes=9)),
    Reason.BAD_KEY: (BLAME, lambda _: check_public_key(bytes(32))),
    Reason.BAD_SIGNATURE: (BLAME, forged),
    Reason.EXPIRED: (IGNORE, recorded(1, GOOD, 9)),
    Reason.EXPIRY_TOO_FAR: (IGNORE, recorded(1, GOOD, 11 + FAR)),
    Reason.NONCE_USED: (IGNORE, recorded(0, GOOD)),
    Reason.NONCE_GAP: (LATER, recorded(2, GOOD)),
    Reason.NOT_ENROLLED: (LATER, recorded(1, Rate(bytes(32), 1, 1))),
    Reason.ALREADY_ENROLLED: (IGNORE, recorded(1, Enrol())),
    Reason.SELF_RATING: (IGNORE, recorded(1, Rate(ANN.public, 1, 1))),
    Reason.UNKNOWN_CATEGORY: (IGNORE, recorded(1, Rate(BOB.public, 2, 1))),
    Reason.POINTS_OUT_OF_RANGE: (IGNORE, recorded(1, Rate(BOB.public, 1, 11))),
    Reason.ALREADY_VALIDATOR: (IGNORE, requested(Change(ADD, LEADER, b"", 1))),
    Reason.NOT_VALIDATOR: (IGNORE, requested(Change(REMOVE, ANN.public))),
    Reason.ALREADY_JAILED: (IGNORE, requested(Change(JAIL, LEADER), Change(JAIL, LEADER))),
    Reason.NOT_JAILED: (IGNORE, requested(Change(RELEASE, LEADER))),
    Reason.TOO_MUCH_WEIGHT: (IGNORE, requested(Change(ADD, ANN.public, b"", 0))),
    Reason.TOO_MANY_VALIDATORS: (LATER, requested(Change(ADD, ANN.public, b"", 1))),
    Reason.TOO_MANY_CHANGES: (LATER, requested(*[Change(JAIL, LEADER), Change(RELEASE, LEADER)] * MAX_QUEUED)),
    Reason.DUPLICATE: (IGNORE, offered(signed(1, GOOD), signed(1, GOOD))),
    Reason.NONCE_TAKEN: (IGNORE, offered(signed(1, GOOD), signed(1, GOOD, 51))),
    Reason.ACTOR_QUOTA: (LATER, offered(signed(1, GOOD), signed(2, GOOD), bound="queues.MAX_PER_ACTOR", value=1)),
    Reason.POOL_FULL: (LATER, offered(signed(1, GOOD), signed(2, GOOD), bound="mempool.MAX_TRANSACTIONS", value=1)),
    Reason.FUTURE_SLOT: (LATER, from_the_future),
    Reason.UNKNOWN_PARENT: (LATER, grown(parent=bytes(32))),
    Reason.INVALID_PARENT: (IGNORE, on_an_invalid_block),
    Reason.NOT_EXECUTED: (LATER, too_far_ahead_to_tell),
    Reason.SLOT_NOT_AFTER_PARENT: (BLAME, grown(slot=3)),
    Reason.WRONG_HEIGHT: (BLAME, grown(height=5)),
    Reason.WRONG_LEADER: (BLAME, grown(signer=secret(3))),
    Reason.WRONG_MHP: (BLAME, grown(mhp=3)),
    Reason.CONTRADICTS_EARLIER_BLOCK: (BLAME, grown(slot=6, mhg=1)),
    Reason.WRONG_TX_ROOT: (BLAME, with_transactions(2, root_of=1)),
    Reason.WRONG_STATE_ROOT: (BLAME, grown(state_root=bytes(32))),
    Reason.TOO_MANY_TRANSACTIONS: (BLAME, with_transactions(blocks.MAX_BLOCK_TRANSACTIONS + 1)),
    Reason.INVALID_TRANSACTION: (BLAME, executed(signed(0, Enrol()), signed(0, Enrol()))),
    Reason.CROSSES_FINALITY: (BLAME, grown(1, length=8, slot=20)),
    Reason.TREE_FULL: (LATER, grown(slot=20, at_least=2)),
    Reason.BARRED: (BLAME, decided(Decision(barred=((LEADER,),)), slot=4)),
    Reason.WRONG_TAG: (BLAME, grown(tag=bytes(range(16)))),
    Reason.WRONG_VOTES_ROOT: (BLAME, with_another_ballot),
    Reason.WRONG_DECISION: (BLAME, decided(Decision(GENESIS.validators[:3]), Decision(GENESIS.validators[:2]))),
    Reason.WRONG_RESTART: (BLAME, with_a_restart_from_elsewhere),
    Reason.BODY_GONE: (IGNORE, of_a_pruned_home),
    Reason.STALE_ATTESTATION: (IGNORE, carried(height=3, mhg=2, mhp=2)),
    Reason.ALREADY_SAID: (IGNORE, carried(height=4, mhg=3, mhp=3)),
    Reason.UNORDERED: (BLAME, unordered),
    Reason.TOO_MANY_ATTESTATIONS: (BLAME, more_than_may_be_carried),
    Reason.NO_VALIDATOR_LEFT: (IGNORE, requested(*[Change(REMOVE, key) for key, _ in GENESIS.validators])),
    **REGISTRY_CASES,
}


@pytest.mark.parametrize("reason", CASES, ids=lambda reason: reason.code)
def test_a_hostile_example(reason: Reason, monkeypatch: pytest.MonkeyPatch) -> None:
    disposition, case = CASES[reason]
    with pytest.raises(Refused) as refused:
        case(monkeypatch)
    assert refused.value.reason is reason
    assert reason.disposition is disposition
    assert str(refused.value).startswith(f"{reason.code}: ")


def raised_in(folder: str) -> set[str]:
    """The names of the reasons that the files of a room mention outside of their definition."""
    files = [path for path in (ROOT / folder).rglob("*.py") if path.name != "errors.py"]
    return {
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_every_reason_is_given_by_somebody_and_has_its_example(reason: Reason) -> None:
    if reason not in CASES:
        assert reason.name in raised_in("p2p"), "nobody can be refused for this reason: remove it or raise it"


def test_codes_are_stable_names() -> None:
    codes = [reason.code for reason in Reason]
    assert len(set(codes)) == len(codes)
    assert codes == [reason.name.lower() for reason in Reason]


def test_the_three_kinds_of_failure_never_mix() -> None:
    kinds = [Refused, OperatorError, InvariantBroken]
    for kind in kinds:
        assert [other for other in kinds if issubclass(kind, other)] == [kind]


def test_a_refusal_without_detail_is_its_code() -> None:
    assert str(Refused(Reason.EXPIRED)) == "expired"
