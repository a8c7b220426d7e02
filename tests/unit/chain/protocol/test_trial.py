"""What the next block would make of a transaction, and that asking changes nothing."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason, Refused
from chain.base.keys import SecretKey
from chain.branches.blockchain import Blockchain
from chain.branches.ledger import Ledger
from chain.consensus.electorate import Electorate
from chain.content.actions import RECOVER, Approve, Enrol, Propose, Rate, Recover, Rotate
from chain.content.consents import sign_recovery, sign_rotation
from chain.content.identities import commitment_of
from chain.content.proposals import AddValidator, RemoveValidator
from chain.content.transactions import Transaction, VerifiedTransaction, sign_transaction
from chain.protocol import mempool, trial
from chain.protocol.mempool import Mempool
from chain.protocol.trial import Desk, take_in, try_out
from chain.register import quotas, registry
from chain.register.draft import Draft
from tests.support.forge import Forge
from tests.support.guardians import SALT
from tests.support.world import FAR, Actor, genesis_of, secret

GENESIS = genesis_of(4)


class Bench:
    """A chain at its genesis with a mempool."""

    def __init__(self) -> None:
        self.chain = Blockchain(GENESIS)
        self.mempool = Mempool(self.chain.ledger.next_nonce)

    def waits(self, *transactions: VerifiedTransaction) -> None:
        for transaction in transactions:
            self.mempool.add(transaction, 1)

    def reasons(self, *transactions: VerifiedTransaction, slot: int = 1) -> list[Reason | None]:
        outcomes: list[Refused | None] = try_out(self.chain, self.mempool, transactions, slot)
        return [None if outcome is None else outcome.reason for outcome in outcomes]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def ann() -> Actor:
    return Actor(GENESIS, 100)


def test_each_is_tried_on_top_of_those_before_it(bench: Bench, ann: Actor) -> None:
    bob = Actor(GENESIS, 101)
    joins, joins_too = ann.sign(Enrol()), bob.sign(Enrol())
    again, rates = ann.sign(Enrol()), bob.sign(Rate(ann.key, 1, 5))
    expected = [None, None, Reason.ALREADY_ENROLLED, None]
    assert bench.reasons(joins, joins_too, again, rates) == expected
    assert bench.reasons(joins, joins_too, again, rates) == expected, "the first trial left something behind"


def test_what_waits_of_the_same_actor_comes_first(bench: Bench, ann: Actor) -> None:
    joins, again, approves = ann.sign(Enrol()), ann.sign(Enrol()), ann.sign(Approve(0))
    assert bench.reasons(approves) == [Reason.NONCE_GAP]
    bench.waits(joins)
    assert bench.reasons(again) == [Reason.ALREADY_ENROLLED]
    assert bench.reasons(joins) == [None], "itself is not ahead of itself"


def test_so_many_are_tried_first_and_no_more(bench: Bench, ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = Actor(GENESIS, 101)
    bench.waits(ann.sign(Enrol()), bob.sign(Enrol()))
    monkeypatch.setattr(trial, "MAX_AHEAD", 2)
    rates = [ann.sign(Rate(ann.key, 1, points)) for points in range(1, 4)]
    bench.waits(*rates[:2])
    # Nobody rates itself, so those ahead fail: the nonce of the third is not reached either way.
    assert bench.reasons(rates[0]) == [Reason.SELF_RATING]
    assert bench.reasons(rates[2]) == [Reason.NONCE_GAP]


@pytest.mark.parametrize(("slot", "used"), [(-5, 1), (0, 1), (1, 1), (2, 2), (1_000, 1_000)])
def test_the_block_has_the_slot_that_is_asked_for_or_the_first_after_the_head(
    bench: Bench, slot: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    draft = Ledger.draft

    def noted(ledger: Ledger, slot: int, electorate: Electorate) -> Draft:
        seen.append(slot)
        return draft(ledger, slot, electorate)

    monkeypatch.setattr(Ledger, "draft", noted)
    assert bench.reasons(Actor(GENESIS, 100).sign(Enrol()), slot=slot) == [None]
    assert seen == [used]


@pytest.mark.parametrize("slot", [-5, 0, 1, 1_000])
def test_a_clock_behind_the_chain_does_not_matter(bench: Bench, ann: Actor, slot: int) -> None:
    assert bench.reasons(ann.sign(Enrol()), slot=slot) == [None]


# ------------------------------------------------------------------------------------------------- submission


def submitted(bench: Bench, *transactions: VerifiedTransaction) -> list[Reason | None]:
    outcomes = Desk(bench.chain, bench.mempool).submit(transactions, 1)
    return [None if outcome is None else outcome.reason for outcome in outcomes]


def test_what_a_trial_refuses_for_good_submission_refuses_as_well(bench: Bench, ann: Actor) -> None:
    bob = Actor(GENESIS, 101)
    joins, moves = ann.sign(Enrol()), ann.sign(Rotate(secret(1).public, bytes(64)))
    assert submitted(bench, joins, moves) == [None, Reason.KEY_IN_USE]
    assert submitted(bench, bob.sign(Enrol()), bob.sign(Rate(secret(77).public, 1, 5))) == [None, None], (
        "whom it rates may enrol before the block"
    )
    assert len(bench.mempool) == 3


def test_what_is_refused_keeps_no_early_answer_from_what_comes_with_it(bench: Bench, ann: Actor) -> None:
    # given a client that sends all of it again, since it heard no answer
    joins, moves = ann.sign(Enrol()), ann.sign(Rotate(secret(1).public, bytes(64)))
    expired = Actor(GENESIS, 101).sign(Enrol(), 0)
    bench.waits(joins)
    assert submitted(bench, joins, expired, moves) == [Reason.DUPLICATE, Reason.EXPIRED, Reason.KEY_IN_USE]


def test_what_is_not_taken_speaks_against_nothing_that_comes_with_it(bench: Bench) -> None:
    # given a motion that lacks one approval, and a validator of whom something else waits
    one, two, three, four = (Actor(GENESIS, number) for number in range(1, 5))
    other = Propose(AddValidator(secret(77).public, 1))
    moves = [one.sign(Propose(RemoveValidator(two.key))), two.sign(Approve(0))]
    bench.chain.add(Forge(GENESIS).block(None, moves), arrived_in_slot=True)
    bench.mempool.add(three.sign(other), 2)
    three.nonce -= 1
    # when it approves with the nonce of that, then another approves all the same
    assert submitted(bench, three.sign(Approve(0)), four.sign(Approve(0))) == [Reason.NONCE_TAKEN, None]


def test_what_was_taken_makes_no_room_for_what_comes_with_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # given more at once than may wait for what is not here, the nearer to its turn the later
    monkeypatch.setattr(mempool, "MAX_EARLY", 2)
    validators = [Actor(GENESIS, number) for number in range(1, 5)]
    for distance, validator in enumerate(reversed(validators), 1):
        validator.nonce = distance
    sent = [validator.sign(Approve(0)) for validator in validators]
    # then what is answered to be here is here
    outcomes = submitted(bench, *sent)
    assert outcomes == [None, None, Reason.POOL_FULL, Reason.POOL_FULL]
    assert list(bench.mempool) == sent[:2]


def test_what_is_answered_to_wait_already_is_promised(bench: Bench, ann: Actor) -> None:
    joins = ann.sign(Enrol())
    bench.waits(joins)
    assert bench.mempool.claimed(9) == ()
    assert submitted(bench, joins) == [Reason.DUPLICATE]
    assert bench.mempool.claimed(9) == (joins,)


def test_who_moved_to_another_key_is_refused_to_rate_itself(bench: Bench, ann: Actor) -> None:
    joins, fresh = ann.sign(Enrol()), secret(101)
    moves = ann.sign(Rotate(fresh.public, sign_rotation(fresh, GENESIS.id, ann.key, ann.nonce)))
    rates = sign_transaction(fresh, GENESIS.id, 0, FAR, Rate(ann.key, 1, 5))
    bench.chain.add(Forge(GENESIS).block(None, [joins, moves]), arrived_in_slot=True)
    assert submitted(bench, rates) == [Reason.SELF_RATING]


def test_a_rating_is_not_carried_out_to_let_it_wait(bench: Bench, ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.chain.add(Forge(GENESIS).block(None, [ann.sign(Enrol())]), arrived_in_slot=True)
    monkeypatch.setattr(trial, "_tried", lambda *_: pytest.fail("it was tried"))
    assert submitted(bench, ann.sign(Rate(secret(77).public, 1, 5))) == [None]


def test_a_key_that_cannot_enrol_does_not_wait_whoever_passes_it_on(bench: Bench, ann: Actor) -> None:
    stale, unknown = Enrol(policy_version=7), Enrol(secret(77).public, bytes(64))
    joins = [Actor(GENESIS, 101 + number).sign(deed) for number, deed in enumerate((stale, unknown, Enrol()))]
    outcomes = take_in(bench.chain, bench.mempool, joins)
    assert [outcome and outcome.reason for outcome in outcomes] == [Reason.STALE_POLICY, Reason.NOT_REGISTRAR, None]
    assert list(bench.mempool) == joins[2:]


def test_where_too_many_keys_wait_those_give_way_that_no_block_would_take(bench: Bench, ann: Actor) -> None:
    # given more keys that are to take a member's place than that one can have, and a newcomer
    guardian = secret(150)
    forge, circle = Forge(GENESIS), Enrol(guardians=commitment_of(1, (guardian.public,), SALT))
    words = [recovery(Actor(GENESIS, 101 + number), ann.key, guardian) for number in range(3)]
    first = forge.block(None, [ann.sign(circle)])
    bench.chain.add(first, arrived_in_slot=True)
    newcomer = Actor(GENESIS, 120).sign(Enrol())
    assert take_in(bench.chain, bench.mempool, [*words, newcomer]) == [None] * 4
    assert bench.mempool.strangers == 4
    # when one of them is in a block
    second = forge.block(first, words[:1])
    assert second.transactions == (words[0],)
    bench.chain.add(second, arrived_in_slot=True)
    bench.mempool.discard(second.transactions, 2)
    # then the others take nobody's room any more, and the newcomer waits as before
    trial.sift(bench.chain, bench.mempool)
    assert bench.mempool.strangers == 1
    assert list(bench.mempool.candidates()) == [newcomer, *words[1:]]


def test_keys_that_consent_to_a_policy_to_come_wait_and_crowd_nobody_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a policy that is announced
    in_force = bench.chain.ledger.view().rules
    announced = in_force._replace(next_version=in_force.version + 1, next_slot=1_000)
    monkeypatch.setattr(Draft, "rules", announced)
    early = [Actor(GENESIS, 101 + number).sign(Enrol(policy_version=announced.next_version)) for number in range(3)]
    newcomer = Actor(GENESIS, 120).sign(Enrol(policy_version=announced.version))
    # when keys enrol under it, by either door
    assert take_in(bench.chain, bench.mempool, early[:2]) == [None, None]
    assert submitted(bench, early[2], newcomer) == [None, None]
    # then they wait, and no newcomer has less room
    assert bench.mempool.strangers == 1
    assert list(bench.mempool.candidates()) == [newcomer, *early]


@pytest.mark.parametrize("is_submitted", [False, True])
def test_the_first_word_of_a_key_is_tried_once(
    bench: Bench, ann: Actor, monkeypatch: pytest.MonkeyPatch, *, is_submitted: bool
) -> None:
    tried, real = list[Transaction](), registry.apply

    def apply(draft: Draft, transaction: Transaction) -> None:
        tried.append(transaction)
        real(draft, transaction)

    monkeypatch.setattr(registry, "apply", apply)
    joins = ann.sign(Enrol())
    assert submitted(bench, joins) == [None] if is_submitted else take_in(bench.chain, bench.mempool, [joins]) == [None]
    assert tried == [joins]


def test_a_crowd_that_does_not_fit_one_block_is_not_held_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MAX_BLOCK_TRANSACTIONS", 1)
    joins = [Actor(GENESIS, 101 + number).sign(Enrol()) for number in range(3)]
    assert take_in(bench.chain, bench.mempool, joins) == [None] * 3
    trial.sift(bench.chain, bench.mempool)
    assert bench.mempool.strangers == 3


def recovery(new: Actor, member: bytes, guardian: SecretKey) -> VerifiedTransaction:
    said = sign_recovery(guardian, GENESIS.id, member, new.key, RECOVER, FAR)
    return new.sign(Recover(member, RECOVER, 1, (guardian.public,), SALT, (said,)), FAR)


def test_what_can_no_longer_pass_gives_way_to_its_actors_next_word(bench: Bench, ann: Actor) -> None:
    joins = ann.sign(Enrol())
    stuck, other = ann.sign(Rate(ann.key, 1, 5)), ann.sign(Rate(secret(77).public, 1, 5))
    other = sign_transaction(ann.secret, GENESIS.id, stuck.nonce, FAR, Rate(secret(77).public, 1, 5))
    block = Forge(GENESIS).block(None, [joins])
    bench.chain.add(block, arrived_in_slot=True)
    bench.mempool.add(stuck, 2)
    bench.mempool.claim((stuck,))
    assert submitted(bench, other) == [None]
    assert list(bench.mempool) == [other]
    later = sign_transaction(ann.secret, GENESIS.id, stuck.nonce, FAR, Rate(secret(78).public, 1, 5))
    assert submitted(bench, later) == [Reason.NONCE_TAKEN], "what may still pass keeps its place"
    # and where the head loses that made it so, what was promised has not been lost
    bench.mempool.remove(other.id)
    bench.mempool.bring_back(2)
    assert list(bench.mempool) == [stuck]
