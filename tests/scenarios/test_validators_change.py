"""Validators come, go, are jailed and weigh more, while the network runs: blocks become final all the while."""

from __future__ import annotations

from chain.consensus.electorate import GATE_BLOCKS, Gate, Joint
from chain.content.actions import Approve, Consent, Propose
from chain.content.proposals import (
    AddValidator,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    ReweighValidator,
)
from chain.register.entries import CARRIED, OPEN, Motion
from tests.scenarios.crafting import Traffic, branch_of, replay
from tests.support.world import Actor, Host, World, secret

SLOTS = 60
LAG = 2
KEYS = {number: secret(number).public for number in range(1, 20)}


class Council:
    """The owners of the keys ``secret(1)``, ``secret(2)``, …, as many of which as there are seats are validators."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.traffic = Traffic(world)
        self._actors = {number: Actor(world.genesis, number) for number in KEYS}
        self._motions = 0
        self.traffic.enrol()
        world.run_until(lambda: not world.lost(), SLOTS)

    @property
    def host(self) -> Host:
        return next(host for host in self.world.hosts if host.is_up)

    @property
    def seated(self) -> list[int]:
        """Who has a say in motions."""
        active = self.host.engine.chain.ledger.validators.active
        return [
            number for number, key in KEYS.items() if any(seat.key == key and not seat.is_jailed for seat in active)
        ]

    def motion(self, number: int) -> Motion:
        return self.host.engine.chain.ledger.view().motion(number)

    def propose(self, proposal: Proposal) -> int:
        """All who sit approve in turn, through the first node that is up; the number of the motion."""
        first, *others = self.seated
        number, self._motions = self._motions, self._motions + 1
        assert self._submit(self._actors[first], Propose(proposal))
        self.world.run_until(lambda: self._knows(number), SLOTS)
        for other in others:
            if self.motion(number).status == OPEN:
                assert self._submit(self._actors[other], Approve(number))
                self.world.run_until(lambda other=other: self._has_approved(number, other), SLOTS)  # type: ignore[misc]
        return number

    def actor(self, number: int) -> Actor:
        return self._actors[number]

    def consent(self, newcomer: int, number: int) -> None:
        assert self._submit(self._actors[newcomer], Consent(number))

    def carry(self, proposal: Proposal, newcomer: int = 0) -> None:
        """Propose, approve, and let the newcomer consent."""
        number = self.propose(proposal)
        if newcomer:
            self.consent(newcomer, number)
        self.world.run_until(lambda: self.motion(number).status == CARRIED, SLOTS)

    def run(self, slots: int) -> None:
        """Slots with a transaction each, after each of which whatever is two blocks old is final."""
        for _ in range(slots):
            self.traffic.run(1, self.world.hosts.index(self.host))
            assert_final(self.world)

    def _knows(self, number: int) -> bool:
        return self.host.engine.chain.ledger.view().docket.next_motion > number

    def _has_approved(self, number: int, validator: int) -> bool:
        return KEYS[validator] in self.motion(number).approvals

    def _submit(self, actor: Actor, action: Propose | Approve | Consent) -> bool:
        return self.world.submit(self.world.hosts.index(self.host), [actor.sign(action)]) == (None,)


def council_of_four(seed: int, *keys: int) -> Council:
    """Four validators, nodes with these keys besides, and room for eight validators."""
    world = World(4, seed=seed, batch=8)
    for number in keys:
        world.host(secret(number)).start()
    return Council(world)


def assert_final(world: World, lag: int = LAG) -> None:
    for host in world.up:
        assert host.final_height >= host.height - lag


def leaders(host: Host) -> list[int]:
    """Who leads slots, by number, as the head of a node knows it."""
    number_of = {key: number for number, key in KEYS.items()}
    return [number_of[key] for key in host.engine.chain.electorate.leaders]


def weights(host: Host) -> dict[int, int]:
    current = host.engine.chain.electorate.current
    return {number: current.by_key[key] for number, key in KEYS.items() if key in current.by_key}


def settled(world: World) -> bool:
    """Whether every node that is up has nothing more to change."""
    return not any(host.engine.chain.ledger.validators.is_changing for host in world.up)


def settle(council: Council, slots: int = SLOTS) -> None:
    council.world.run_until(lambda: settled(council.world), slots)


def proposers(host: Host, above: int) -> list[bytes]:
    """Who made the blocks of the head's branch above a height."""
    return [block.header.proposer for block in branch_of(host)[above:]]


# --------------------------------------------------------------------------------------------------- newcomers


def test_a_newcomer_that_consents_and_comes_is_a_validator_a_few_blocks_later() -> None:
    # given a network, and a node whose key is nobody's
    council = council_of_four(31, 5)
    world = council.world
    fifth = world.hosts[4]
    # when the validators agree on its key, then nothing happens yet
    number = council.propose(AddValidator(KEYS[5], 1))
    council.run(10)
    assert settled(world)
    assert council.motion(number).status == OPEN
    # and when the newcomer consents
    council.consent(5, number)
    world.run_until(lambda: council.motion(number).status == CARRIED, SLOTS)
    height = council.host.height
    council.run(12)
    # then it is a validator within a few blocks, and makes blocks in its turn
    assert leaders(fifth) == [1, 2, 3, 4, 5]
    assert fifth.engine.chain.electorate.start <= height + 8
    assert all(slot % 5 == 4 for slot in fifth.signed)
    assert fifth.signed
    # and somebody who comes later, and one who executes it all, find the same
    latecomer = world.join()
    world.run_until(lambda: latecomer.head_id == fifth.head_id, SLOTS)
    assert replay(world, branch_of(latecomer)).state_root == fifth.state_root


def test_a_newcomer_that_never_consents_changes_nothing() -> None:
    council = council_of_four(32, 5)
    number = council.propose(AddValidator(KEYS[5], 1))
    council.run(2 * SLOTS)
    assert council.motion(number).status == OPEN
    assert weights(council.host) == {1: 1, 2: 1, 3: 1, 4: 1}
    # and what is decided otherwise does not wait for it
    council.carry(ReweighValidator(KEYS[1], 2))
    settle(council)
    assert weights(council.host) == {1: 2, 2: 1, 3: 1, 4: 1}


def test_a_newcomer_that_consents_and_never_comes_is_given_up_and_stops_nothing() -> None:
    # given a newcomer that consents, and whose node nobody ever starts
    council = council_of_four(33)
    world = council.world
    council.carry(ReplaceValidator(KEYS[4], KEYS[5]), newcomer=5)
    world.run_until(lambda: bool(council.host.engine.chain.ledger.validators.decided_height), SLOTS)
    decided = council.host.engine.chain.ledger.validators.decided_height
    # when validator 2 is down besides
    world.hosts[1].crash()
    while council.host.height < decided + GATE_BLOCKS:
        # then blocks become final as ever, by three of the four of before
        assert isinstance(council.host.engine.chain.electorate.phase, Gate)
        council.run(1)
    # and after its 128 blocks the change is dropped, and the next one has its turn
    world.hosts[1].start()
    council.run(4)
    assert settled(world)
    assert leaders(council.host) == [1, 2, 3, 4]
    council.carry(ReweighValidator(KEYS[1], 2))
    settle(council)
    assert weights(council.host) == {1: 2, 2: 1, 3: 1, 4: 1}


def test_a_newcomer_that_comes_late_is_waited_for() -> None:
    # given a newcomer that consented, and whose node is not up yet
    council = council_of_four(34, 5)
    world = council.world
    world.hosts[4].crash()
    council.carry(AddValidator(KEYS[5], 1), newcomer=5)
    council.run(GATE_BLOCKS // 2)
    assert leaders(council.host) == [1, 2, 3, 4]
    # when it starts
    world.hosts[4].start()
    # then its change goes on
    world.run_until(lambda: leaders(council.host) == [1, 2, 3, 4, 5], 20)
    council.run(10)
    assert world.hosts[4].signed


def test_four_organisations_found_a_network_one_by_one() -> None:
    # given the network of one organisation, and the nodes of three others
    world = World(1, seed=35, batch=8)
    for number in (2, 3, 4):
        world.host(secret(number)).start()
    council = Council(world)
    # when one after the other is added
    for number in (2, 3, 4):
        council.carry(AddValidator(KEYS[number], 1), newcomer=number)
        settle(council)
        council.run(8)
        # then it leads slots like the others
        assert leaders(council.host) == council.seated == list(range(1, number + 1))
        assert {KEYS[each] for each in council.seated} == set(proposers(council.host, council.host.height - 8))
    # and four of them go on without any one
    world.hosts[0].crash()
    height = world.hosts[1].final_height
    council.traffic.run(20, 1)
    assert world.hosts[1].final_height > height + 10
    assert not any(host.penalties for host in world.hosts)


# ---------------------------------------------------------------------------------------- those who leave, or move


def test_a_validator_that_is_down_is_removed() -> None:
    council = council_of_four(36)
    world = council.world
    # given a validator that is gone for good
    world.hosts[3].crash()
    # when the others remove it
    council.carry(RemoveValidator(KEYS[4]))
    settle(council)
    # then no slot stays empty any more, and what is two blocks old is final
    assert leaders(council.host) == [1, 2, 3]
    height = council.host.height
    council.run(12)
    assert council.host.height == height + 12


def test_a_network_moves_to_other_keys_one_after_the_other() -> None:
    # given four nodes whose keys are to be replaced by those of four others, the first of which comes late
    council = council_of_four(37, 11, 12, 13, 14)
    world = council.world
    world.hosts[4].crash()
    for number in range(1, 5):
        council.carry(ReplaceValidator(KEYS[number], KEYS[10 + number]), newcomer=10 + number)
    world.hosts[4].start()
    # when another of them is down for a while
    world.run_until(lambda: leaders(council.host) == [11, 2, 3, 4], SLOTS)
    world.hosts[6].crash()
    world.run(20)
    world.hosts[6].start()
    settle(council)
    # then the new ones carry on alone
    assert leaders(council.host) == [11, 12, 13, 14]
    for host in world.hosts[:4]:
        host.crash()
    height = world.hosts[4].final_height
    council.carry(RemoveValidator(KEYS[11]))
    settle(council)
    council.traffic.run(12, 4)
    assert world.hosts[7].final_height > height + 12
    assert [leaders(host) for host in world.up] == [[12, 13, 14]] * 4


def test_several_changes_are_made_one_after_the_other_in_their_order() -> None:
    # given five changes that are carried while the first waits for its newcomer
    council = council_of_four(38, 5, 6)
    world = council.world
    world.hosts[4].crash()
    council.carry(AddValidator(KEYS[5], 1), newcomer=5)
    for proposal, newcomer in (
        (ReplaceValidator(KEYS[4], KEYS[6]), 6),
        (ReweighValidator(KEYS[5], 3), 0),
        (JailValidator(KEYS[3]), 0),
        (RemoveValidator(KEYS[2]), 0),
    ):
        council.carry(proposal, newcomer)
    assert len(council.host.engine.chain.ledger.validators.queue) == 4
    assert weights(council.host) == {1: 1, 2: 1, 3: 1, 4: 1}
    # when it comes
    world.hosts[4].start()
    seen = [weights(council.host)]
    while not settled(world):
        world.run(1)
        assert_final(world, LAG + 1)  # who left says no more about the last blocks that it had a say in
        if weights(council.host) != seen[-1]:
            seen.append(weights(council.host))
    # then all of them are made; the jailed one's weight leaves with the first of those that were not decided before
    assert seen == [
        {1: 1, 2: 1, 3: 1, 4: 1},
        {1: 1, 2: 1, 3: 1, 4: 1, 5: 1},
        {1: 1, 2: 1, 3: 0, 5: 1, 6: 1},
        {1: 1, 2: 1, 3: 0, 5: 3, 6: 1},
        {1: 1, 3: 0, 5: 3, 6: 1},
    ]
    council.run(10)


# ------------------------------------------------------------------------------------------- jailed and released


def test_who_is_jailed_makes_no_block_from_the_next_one_on_until_it_is_released() -> None:
    council = council_of_four(39)
    world = council.world
    villain = world.hosts[2]
    # when a validator is jailed
    council.carry(JailValidator(KEYS[3]))
    jailed = council.host.height
    # then it makes no block, from the next one on, while its weight leaves by the same phases as any other
    assert council.host.engine.chain.electorate.barred == (KEYS[3],)
    assert weights(council.host)[3] == 1
    council.run(16)
    assert KEYS[3] not in proposers(council.host, jailed)
    assert weights(council.host) == {1: 1, 2: 1, 3: 0, 4: 1}
    assert leaders(council.host) == [1, 2, 4]
    # and once it is released it makes blocks as before
    council.carry(ReleaseValidator(KEYS[3]))
    settle(council)
    released = council.host.height
    council.run(8)
    assert leaders(villain) == [1, 2, 3, 4]
    assert KEYS[3] in proposers(council.host, released)
    assert not any(host.penalties or host.equivocations for host in world.hosts)


def test_a_weight_that_changes_counts_from_the_end_of_its_phases_on() -> None:
    council = council_of_four(40)
    world = council.world
    council.carry(ReweighValidator(KEYS[1], 4))
    settle(council)
    assert weights(council.host) == {1: 4, 2: 1, 3: 1, 4: 1}
    # then it and one more are enough, where two of four were not
    for host in world.hosts[2:]:
        host.crash()
    height = council.host.final_height
    council.traffic.run(40, 0)
    assert council.host.final_height > height + 15
    # and without it nothing becomes final
    for host in world.hosts[2:]:
        host.start()
    world.run(12)
    world.hosts[0].crash()
    height = world.hosts[1].final_height
    council.traffic.run(40, 1)
    assert world.hosts[1].final_height <= height + LAG


# ------------------------------------------------------------------------------------------------------- trouble


def test_a_change_waits_while_nothing_becomes_final() -> None:
    # given a change that is decided, and half of the validators gone before it is in force
    council = council_of_four(41, 5)
    world = council.world
    council.carry(AddValidator(KEYS[5], 1), newcomer=5)
    for host in world.hosts[2:4]:
        host.crash()
    # when much more than two rounds pass
    world.run(2 * SLOTS)
    # then nothing has changed
    assert leaders(world.hosts[4]) == [1, 2, 3, 4]
    assert world.hosts[4].signed == {}
    # until they return
    for host in world.hosts[2:4]:
        host.start()
    world.run_until(lambda: world.hosts[4].engine.is_validator, 2 * SLOTS)
    world.run_until(lambda: settled(world), SLOTS)


def test_a_change_on_one_side_of_a_cut_ends_in_one_chain() -> None:
    # given a change that is decided, and a network that falls apart before it is in force
    council = council_of_four(42, 5)
    world = council.world
    council.carry(AddValidator(KEYS[5], 1), newcomer=5)
    world.cut({0, 1, 2, 4}, {3})
    # when the larger part goes on and changes, and the smaller cannot
    world.run_until(lambda: leaders(world.hosts[0]) == [1, 2, 3, 4, 5], 2 * SLOTS)
    assert leaders(world.hosts[3]) == [1, 2, 3, 4]
    world.heal()
    # then all end on one chain, with five validators
    world.run_until(lambda: world.agree() and settled(world) and bool(world.hosts[4].signed), 2 * SLOTS)
    assert {tuple(leaders(host)) for host in world.hosts} == {(1, 2, 3, 4, 5)}
    assert not any(host.penalties for host in world.hosts)
    world.check_agreement()


def test_a_replacement_while_the_network_is_cut_waits_for_both_sides() -> None:
    # given a replacement that is decided, and a cut with the leaving one on one side and the newcomer on the other
    council = council_of_four(43, 5)
    world = council.world
    council.carry(ReplaceValidator(KEYS[4], KEYS[5]), newcomer=5)
    world.cut({0, 1, 4}, {2, 3})
    # when time passes, then neither two of the old with the newcomer, nor the other two of the old, go on alone
    final = max(host.final_height for host in world.hosts)
    left, right = council.traffic, Traffic(world)
    left.actors, right.actors = council.traffic.actors[:4], council.traffic.actors[4:]
    for _ in range(SLOTS):
        left.run(1, 0)
        right.run(1, 2)
    assert all(host.final_height <= final + LAG for host in world.hosts)
    assert all(leaders(host) == [1, 2, 3, 4] for host in world.hosts)
    # until they meet
    world.heal()
    world.run_until(lambda: settled(world) and world.agree(), 2 * SLOTS)
    assert {tuple(leaders(host)) for host in world.hosts} == {(1, 2, 3, 5)}
    world.run(10)
    assert world.lost() == set()
    world.check_agreement()
    assert not any(host.penalties or host.equivocations for host in world.hosts)


def test_a_joint_phase_that_is_cut_off_goes_on_when_it_is_whole_again() -> None:
    # given a change that both sets decide by now, and half of the validators gone
    council = council_of_four(44, 5)
    world = council.world
    council.carry(ReplaceValidator(KEYS[4], KEYS[5]), newcomer=5)
    world.run_until(lambda: isinstance(council.host.engine.chain.electorate.phase, Joint), SLOTS)
    for host in world.hosts[1:3]:
        host.crash()
    # when the rest goes on for long
    council.traffic.run(2 * SLOTS, 0)
    # then it stays joint, however long that is
    assert isinstance(council.host.engine.chain.electorate.phase, Joint)
    # until they return
    for host in world.hosts[1:3]:
        host.start()
    world.run_until(lambda: settled(world) and world.agree(), 2 * SLOTS)
    assert leaders(council.host) == [1, 2, 3, 5]
    assert world.lost() == set()
    world.check_agreement()


def test_the_only_one_that_leads_is_not_jailed_while_another_is_waited_for() -> None:
    # given one validator, and a second that was let in and whose node never starts
    council = Council(World(1, batch=8))
    council.carry(AddValidator(KEYS[2], 1), newcomer=2)
    # when the first is to be jailed, which alone makes blocks
    [host] = council.world.up
    height = host.height
    council.world.submit(0, [council.actor(1).sign(Propose(JailValidator(KEYS[1])))])
    council.world.run(10)
    council.run(LAG)
    # then it goes on
    assert host.height > height + LAG
    assert host.engine.chain.electorate.barred == ()
