"""What befalls homes by hand, or many at once: ruins and restarts, backups, versions; and that it is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import pytest

from chain.base.errors import Refused
from chain.consensus.restart import Restart
from chain.protocol.events import Request
from scripts.simulation import versions
from scripts.simulation.acts import Act, BackUp, Crash, Cut, Prune, Ruin, Upgrade
from scripts.simulation.history import History, run_history
from scripts.simulation.node import SimulatedNode
from scripts.simulation.plan import Plan
from scripts.simulation.rescue import PATIENCE_SLOTS, STEP_SLOTS
from scripts.simulation.settings import Outcome, Settings, Violation

CALM = Settings(nodes=4, slots=60, faults="none", traffic="ratings", keep_timeline=True)


Live: TypeAlias = Callable[..., Outcome]


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    """What becomes of a history in which, beside traffic, only these acts happen."""
    draw = Plan.draw

    def run(acts: Sequence[Act], disk: Literal["memory", "real"] = "memory", slots: int = CALM.slots) -> Outcome:
        monkeypatch.setattr(Plan, "draw", lambda plan, slots: (*draw(plan, slots), *acts))
        return run_history(replace(CALM, disk=disk, slots=slots), 0)

    return run


def told(outcome: Outcome, text: str) -> int:
    """How often something is said."""
    return sum(text in line for line in outcome.timeline)


@pytest.mark.parametrize("disk", ["memory", "real"])
def test_people_let_a_chain_go_on_for_which_too_many_disks_were_lost(
    live: Live, disk: Literal["memory", "real"]
) -> None:
    # given two of four disks that are gone
    outcome = live([Ruin(20, ("node1", "node2"), 2)], disk)
    # then three sign, nothing final is lost, and all validators speak again, which the judge sees to
    assert outcome.violation == ""
    assert outcome.facts["restarts"] == 1
    assert told(outcome, "to sign a restart") >= 3
    assert not told(outcome, "what was final is lost")
    assert outcome.culprits == ()


def test_who_lost_its_disk_begins_with_a_state_that_others_give_away(live: Live) -> None:
    outcome = live([Crash(25, "node2", "", 3, "removed", 1)])
    assert outcome.violation == ""
    assert told(outcome, "begins with a state of height") == 1
    assert not told(outcome, "begins with a state of height 0")


def test_who_lost_its_disk_fetches_bodies_from_the_only_one_that_keeps_them(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two who drop old bodies, and a third that drops none, as nobody else would have them
    refused: list[str] = []
    answer = SimulatedNode.answer

    def noted(node: SimulatedNode, request: Request) -> bytes | None:
        try:
            return answer(node, request)
        except Refused as refusal:
            refused.append(f"{node.name} {refusal.reason.code}")
            raise

    monkeypatch.setattr(SimulatedNode, "answer", noted)
    prunes = [Prune(slot, f"node{number}") for slot, number in ((24, 0), (26, 1), (28, 3), (30, 2))]
    # when the one loses its disk that has what nobody else has, it does not; and two that may do, one after the other
    crashes = [Crash(slot, f"node{number}", "", 3, "removed", 0) for slot, number in ((32, 2), (38, 1), (50, 0))]
    outcome = live([*prunes, *crashes])
    assert outcome.violation == ""
    assert told(outcome, "drops the bodies") == 3
    assert told(outcome, "lost its whole disk") == 2
    assert refused
    assert not {"node2 body_gone"} & set(refused)


def test_what_was_on_a_disk_that_is_gone_nobody_keeps_until_it_is_missed(live: Live) -> None:
    # given two who could drop old bodies, while the disks of the other two are gone and the machines still off
    outcome = live([Ruin(21, ("node1", "node2"), 8), Prune(22, "node3"), Prune(23, "node0")])
    # then one of them does not, and from that one the others fetch the chain, and go on
    assert outcome.violation == ""
    assert told(outcome, "drops the bodies") == 1
    assert outcome.facts["restarts"] == 1


def test_nobody_begins_another_restart_where_validators_are_merely_cut_off(live: Live) -> None:
    # given a network that is cut in halves while its operators sign, and for longer than they wait for what is final
    left, right = ("node0", "node1"), ("node2", "node3")
    ways = tuple((one, two) for side, other in ((left, right), (right, left)) for one in side for two in other)
    cut = Cut(37, ways, "halves", is_noticed=False, turns=(100,))
    outcome = live([Ruin(20, ("node1", "node2"), 2), cut], slots=160)
    # then the first one lets it go on once the cut is healed
    assert outcome.violation == ""
    assert told(outcome, "people agree") == 1
    assert outcome.facts["restarts"] == 1


@pytest.mark.parametrize("is_binding", [False, True])
def test_a_chain_may_go_on_in_the_place_of_a_restart_unless_enough_signed_it(is_binding: bool) -> None:
    # given a chain that is final above the block of a restart
    history = History(CALM, 0)
    history.run()
    world, rescue = history.world, history.faults.rescue
    rescue.begin()
    rescue._file = Restart(world.honest[0].disk.main[5].id, 5, bytes(16))
    rescue._is_binding = is_binding
    world.run_slots(PATIENCE_SLOTS)
    # then people see that nobody needs one; or that others went on without those who had given up their voice for it
    if is_binding:
        with pytest.raises(Violation, match="elsewhere than where people agreed"):
            rescue.each_slot()
        return
    rescue.each_slot()
    world.run_slots(STEP_SLOTS)
    rescue.each_slot()
    assert not rescue.is_under_way
    assert rescue.count == 0


def test_where_nobody_has_the_chain_any_more_there_is_nothing_to_go_on_from(live: Live) -> None:
    outcome = live([Ruin(20, ("node0", "node1", "node2", "node3"), 2)])
    assert outcome.violation == ""
    assert (outcome.facts["restarts"], outcome.facts["forgot"]) == (0, 0)


def test_who_died_before_its_first_block_was_on_disk_has_no_chain_to_go_on_from(live: Live) -> None:
    # given one that is down, and whose only write was lost
    outcome = live([Crash(1, "node3", "lost", 30, "", 0), Ruin(20, ("node0", "node1", "node2"), 2)])
    # then the disks of all others are not taken from people who could do nothing about it
    assert told(outcome, "node3    crashes: while writing, the write is lost") == 1
    assert outcome.violation == ""
    assert (outcome.facts["restarts"], outcome.facts["forgot"]) == (0, 0)


def test_what_only_lost_disks_held_is_lost_and_no_more() -> None:
    # given a history that is over, and that nobody is left who knows all that was final
    history = History(CALM, 0)
    history.run()
    checks, node = history.world.checks, history.world.honest[0]
    final = list(checks.final)
    for each in history.world.honest:
        checks.on_amnesia(each, 5)
    # when people agree on a block below what was final
    checks.on_restart(node, node.disk.main[5].id, is_sure=False)
    # then that is what is promised, to whom there is nobody to fear
    assert checks.final == final[:5]
    assert checks.is_safe


@pytest.mark.parametrize("is_sure", [True, False])
def test_who_is_not_honest_may_bring_back_what_others_forgot_unless_a_third_remembers(is_sure: bool) -> None:
    history = History(replace(CALM, byzantine="silent"), 0)
    history.run()
    checks, node = history.world.checks, history.world.honest[0]
    checks.on_restart(node, node.disk.main[max(node.disk.main)].id, is_sure=is_sure)
    assert checks.is_safe == is_sure


def test_as_few_disks_as_are_tolerated_are_no_ruin(live: Live) -> None:
    outcome = live([Ruin(20, ("node1",), 2)])
    assert outcome.violation == ""
    assert (outcome.facts["restarts"], outcome.facts["forgot"]) == (0, 0)


def test_a_network_that_does_not_take_its_restart_is_noticed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.consensus.judgement.restarted", lambda votes, *_arguments: votes)
    outcome = live([Ruin(20, ("node1", "node2"), 2)])
    assert outcome.violation


def test_nothing_is_forgiven_that_a_home_knows_to_be_final() -> None:
    # given a history that is over
    history = History(CALM, 0)
    history.run()
    checks, node = history.world.checks, history.world.honest[0]
    final = list(checks.final)
    # when people agree on a block below what is final everywhere
    checks.on_restart(node, node.disk.main[3].id, is_sure=False)
    # then it still is, whoever forgets it
    assert len(final) > 3
    assert checks.final == final


def test_a_backup_may_bring_back_more_than_a_damaged_home_knew() -> None:
    # given a home that lost nearly all that it knew to be final
    history = History(CALM, 0)
    history.run()
    checks, node = history.world.checks, history.world.honest[0]
    checks.on_amnesia(node, 3)
    # when a backup from before that is put in its place
    checks.on_amnesia(node, node.engine.chain.finalized.height)
    # then nobody wonders that it is final up to there again
    checks.on_start(node)


@pytest.mark.parametrize("disk", ["memory", "real"])
def test_a_restored_home_finds_out_and_starts_anew(live: Live, disk: Literal["memory", "real"]) -> None:
    # given a backup that is put in the place of a home that went on, where others know
    acts = [BackUp(10, "node2"), Crash(30, "node2", "", 2, "restored", 0)]
    outcome = live(acts, disk)
    # then the node stops, sees that nobody else speaks with its key, and speaks anew
    assert outcome.violation == ""
    assert told(outcome, "notice  key_used_elsewhere") == 1
    assert told(outcome, "notice  signing_lost: nobody else") == 1
    assert outcome.culprits == ()


def test_a_home_that_nobody_tells_what_it_said_is_lost(live: Live) -> None:
    # given a backup that is restored at once
    outcome = live([BackUp(10, "node2"), Crash(10, "node2", "", 1, "restored", 0)])
    # then it is as if nothing happened, or it is known to be old
    assert outcome.violation == ""
    assert not told(outcome, "notice  key_used_elsewhere")


def test_two_versions_agree(live: Live) -> None:
    # given nodes that get another version one by one, the first of them twice
    names = ("node0", "node1", "node2", "node0")
    outcome = live([Upgrade(10 * at, name) for at, name in enumerate(names, start=1)])
    assert outcome.violation == ""
    assert told(outcome, "for another version") == len(names)


def test_the_next_version_differs_and_nothing_of_it_stays(live: Live) -> None:
    before = [getattr(module, name) for module, name, _ in versions.NEXT]
    with versions.next_version():
        assert [getattr(module, name) for module, name, _ in versions.NEXT] == [value for *_, value in versions.NEXT]
    assert [getattr(module, name) for module, name, _ in versions.NEXT] == before
    assert all(value != now for now, (*_, value) in zip(before, versions.NEXT, strict=True))
