"""What the rules promise, in the model; ``python scripts/model.py`` looks at more histories of the same kinds."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from tests.model.broken import ARGUED, SEARCHED, SHOWN, Shown
from tests.model.exhaustive import Exhaustion
from tests.model.honest import recorded_height
from tests.model.knobs import KNOBS, Rules
from tests.model.rules import NOTHING, Block, Decision, Refused, Statement, contradicting, extend, genesis
from tests.model.scenarios import KINDS, NAMES
from tests.model.search import search
from tests.model.sets import Gate, Joint, VotingSet, voting_set
from tests.model.traces import difference, trace_of_seed
from tests.model.world import Cast, Weather, World, around

FILES = [path for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("test_")]
HISTORIES = {4: 100, 7: 60, 10: 30}
"""How many of each kind are looked at here."""
TRACES = 70
LAPSE = Rules(lapse=6)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_model_shares_no_code_with_what_it_judges(path: Path) -> None:
    wanted: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            wanted |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            wanted.add((node.module or "").split(".")[0])
    assert wanted & {"chain", "p2p", "node", "scripts"} == set()


# ------------------------------------------------------------------------------------------------ the rules hold


@pytest.mark.parametrize("n", HISTORIES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wrong_in_random_histories(kind: str, n: int) -> None:
    tally = search(kind, n, range(HISTORIES[n]), Rules())
    assert tally.finding is None
    assert tally.finals > 0


def test_the_histories_are_worth_something() -> None:
    """Sets change, gates lapse, those who lost their state return, and too many Byzantine ones do harm."""
    changing, lost, over = (search(kind, 4, range(100), Rules()) for kind in ("change", "lost-change", "over"))
    assert changing.changed > 10
    assert changing.lapsed > 10
    assert lost.returned > 3
    assert over.conflicts > 10


def test_every_history_of_four_up_to_five_blocks() -> None:
    visited = Exhaustion(5, Rules()).run()
    assert (visited.states, visited.conflict) == (3_857, None)
    assert visited.finals > 0


@pytest.mark.parametrize("following", ["ABCE", "BCDE"])
def test_every_history_of_four_up_to_four_blocks_in_which_one_is_replaced(following: str) -> None:
    visited = Exhaustion(4, Rules(), following).run()
    assert visited.conflict is None
    assert visited.states > 3_000


def test_with_a_quorum_too_low_a_few_blocks_are_enough() -> None:
    conflict = Exhaustion(6, Rules(low_quorum=True)).run().conflict
    assert conflict is not None
    assert len(conflict.blocks) == 7


# --------------------------------------------------------------------------------------------------- broken rules


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: f"{'+'.join(shown.knobs)}-{shown.what}")
def test_a_rule_taken_out_shows(shown: Shown) -> None:
    seeds = range(shown.seed, shown.seed + 1)
    assert shown.first(seeds) is not None
    assert replace(shown, knobs=()).first(seeds) is None


def test_each_rule_that_can_be_taken_out_shows_or_is_argued() -> None:
    alone = {shown.knobs[0] for shown in SHOWN if len(shown.knobs) == 1}
    assert alone | set(ARGUED) == set(KNOBS)
    assert alone & set(ARGUED) == set()
    assert set(SEARCHED) == set(ARGUED)


# ------------------------------------------------------------------------------------------------- rules, one by one


def world(n: int, rules: Rules = LAPSE) -> World:
    """A world of so many honest ones in which all arrives."""
    names = list(NAMES[:n]) if n <= len(NAMES) else [f"{at:03}" for at in range(n)]
    cast = Cast(voting_set(dict.fromkeys(names, 1), rules), frozenset())
    return World(Random(n), rules, cast, Weather(0, outsiders=False), healing=True)


def grow(one: World, parent: Block, count: int, decision: Decision | None = None, silent: str = "") -> Block:
    """So many more blocks, the first with a decision; all but ``silent`` lead in turn and attest."""
    one.cast = replace(one.cast, absent=frozenset(silent))
    for at in range(count):
        for name in sorted(around(parent)):
            one.attest(name, parent)
        made = one.make(parent, decision if at == 0 else None)
        assert made is not None
        parent = made
    return parent


def the_set(one: World, names: str) -> VotingSet:
    return voting_set(dict.fromkeys(names, 1), one.rules)


@pytest.mark.parametrize("n", [4, 7, 31])
def test_a_block_is_final_two_blocks_later(n: int) -> None:
    one = world(n)
    tip = one.blocks[0]
    for height in range(1, 8):
        tip = grow(one, tip, 1)
        assert tip.mhpc == max(0, height - 2)


def test_a_change_goes_through_gate_and_joint_phase() -> None:
    one = world(4)
    decided = grow(one, grow(one, one.blocks[0], 4), 1, Decision(the_set(one, "ABCDE")))
    assert decided.seats.phase == Gate(5, the_set(one, "ABCDE"))
    waiting = grow(one, decided, 1)
    assert waiting.seats.phase == Gate(5, the_set(one, "ABCDE"), frozenset("ABCD"))
    assert (waiting.guests[6], waiting.guests[5]) == (the_set(one, "ABCDE"), None)
    heard = grow(one, waiting, 1)
    assert heard.seats.phase == Joint(5, 8, the_set(one, "ABCDE"))
    assert heard.seats.sets == (the_set(one, "ABCD"), the_set(one, "ABCDE"))
    assert "E" not in heard.leaders()
    assert heard.voters["E"] == (8, 7)
    joint = grow(one, heard, 2)
    assert joint.mhpc == 7
    assert joint.seats.phase is not None
    alone = grow(one, joint, 1)
    assert alone.mhpc == 8
    assert alone.seats.sets == (the_set(one, "ABCDE"),)
    assert grow(one, alone, 5).mhpc == 13


def test_what_the_deciding_block_says_itself_is_not_heard_at_the_gate() -> None:
    one = world(4)
    decided = grow(one, one.blocks[0], 1, Decision(the_set(one, "ABC")))
    assert decided.own is not None
    later = extend(decided, 99, None, (), NOTHING, one.rules)
    assert later.seats.phase == Gate(1, the_set(one, "ABC"))


@pytest.mark.parametrize(("following", "rising"), [({"A": 1, "B": 1, "C": 1, "D": 2}, "D"), ({"A": 9, "B": 1}, "A")])
def test_the_gate_waits_for_all_who_gain_weight(following: dict[str, int], rising: str) -> None:
    one, decision = world(4), Decision(voting_set(following, LAPSE))
    waiting = grow(one, grow(one, one.blocks[0], 1, decision), 4, silent=rising)
    assert isinstance(waiting.seats.phase, Gate)
    assert waiting.seats.phase.heard == set("ABCD") - {rising}
    assert isinstance(grow(one, waiting, 1).seats.phase, Joint)


def test_a_block_carries_a_few_attestations_a_speaker() -> None:
    one = world(4)
    tip = grow(one, one.blocks[0], 7, silent="BCD")
    tips = [tip.ancestor(height) for height in range(1, 8)]
    said = [Statement("B", at.id, at.height, at.height - 1, at.shown) for at in tips]
    said += [Statement("C", at.id, at.height, at.height - 1, at.shown) for at in tips]
    said += [Statement("D", at.id, at.height, at.height - 1, at.shown) for at in tips]
    with pytest.raises(Refused, match="21 attestations"):
        extend(tip, 99, None, said, NOTHING, one.rules)
    assert len(extend(tip, 99, None, said[:16], NOTHING, one.rules).carried) == 16


def test_a_guest_gives_no_weight() -> None:
    one = world(4)
    decided = grow(one, one.blocks[0], 1, Decision(the_set(one, "ABCDEFGHI")), silent="BCD")
    tip = grow(one, decided, 3, silent="BCD")
    assert isinstance(tip.seats.phase, Gate)
    assert tip.seats.phase.heard == set("AEFGHI")
    assert set(tip.prevotes.values()) == {(1,)}
    assert tip.mhp == 0


@pytest.mark.parametrize("following", ["ABCDE", "ABCX", "WXYZ"])
def test_a_gate_that_not_all_newcomers_pass_lapses_and_the_next_change_goes_through(following: str) -> None:
    one = world(4)
    decided = grow(one, grow(one, one.blocks[0], 2), 1, Decision(the_set(one, following)))
    tip = grow(one, decided, 5, silent="EX")
    assert isinstance(tip.seats.phase, Gate)
    with pytest.raises(Refused, match="a phase is under way"):
        extend(tip, 99, None, (), Decision(the_set(one, "ABC")), one.rules)
    lapsed = grow(one, tip, 1, silent="EX")
    assert lapsed.height == decided.height + one.rules.lapse
    assert lapsed.seats.sets == (the_set(one, "ABCD"),)
    assert lapsed.seats.phase is None
    assert lapsed.mhpc == lapsed.height - 2
    assert grow(one, lapsed, 6, Decision(the_set(one, "ABCF"))).seats.sets == (the_set(one, "ABCF"),)


def test_one_byzantine_and_a_newcomer_that_never_comes_do_not_end_finality() -> None:
    """A threshold of the next set was heard, A among it, which is silent from then on."""
    one = world(4)
    decided = grow(one, one.blocks[0], 1, Decision(the_set(one, "ABCDX")))
    tip = grow(one, grow(one, decided, 2, silent="X"), 12, silent="AX")
    assert tip.mhpc > decided.height + one.rules.lapse
    broken = world(4, replace(LAPSE, gate_by_weight=True))
    decided = grow(broken, broken.blocks[0], 1, Decision(the_set(broken, "ABCDX")))
    heard = grow(broken, decided, 2, silent="X")
    assert isinstance(heard.seats.phase, Joint)
    stuck = grow(broken, heard, 20, silent="AX")
    assert stuck.seats.phase == heard.seats.phase
    assert stuck.mhpc < heard.seats.phase.start


def test_the_barred_lead_nothing() -> None:
    one = world(4)
    barred = grow(one, one.blocks[0], 1, Decision(the_set(one, "ABC"), frozenset("D")))
    with pytest.raises(Refused, match="no leader here"):
        extend(barred, 99, ("D", 0), (), NOTHING, one.rules)


def test_a_new_tag_speaks_only_where_the_loss_is_final_and_the_old_one_no_more() -> None:
    one = world(4)
    recorded = grow(one, grow(one, one.blocks[0], 3), 1, Decision(lost=(("D", 7),)))
    old = Statement("D", recorded.id, 4, 3, recorded.shown)
    for said in (old, old._replace(tag=7)):
        with pytest.raises(Refused, match="no tag of this branch"):
            extend(recorded, 99, None, (said,), NOTHING, one.rules)
    tip = recorded
    while tip.mhpc < recorded.height:
        tip = grow(one, tip, 1, silent="D")
    extend(tip, 99, None, (Statement("D", tip.id, tip.height, 3, tip.shown, 7),), NOTHING, one.rules)


def test_the_block_that_records_a_loss_is_the_last_to_carry_what_was_said_before() -> None:
    one = world(4)
    tip = grow(one, one.blocks[0], 3, silent="D")
    late = Statement("D", tip.ancestor(2).id, 2, 0, tip.ancestor(2).shown)
    recorded = extend(tip, 99, ("A", 2), (late,), Decision(lost=(("D", 7),)), one.rules)
    assert recorded.carried == (late,)
    without = extend(tip, 100, ("A", 2), (), Decision(lost=(("D", 7),)), one.rules)
    with pytest.raises(Refused, match="no tag of this branch"):
        extend(without, 101, None, (late,), NOTHING, one.rules)
    mine = extend(tip, 102, ("D", 0), (), Decision(lost=(("D", 7),)), one.rules)
    assert mine.own is not None
    assert mine.own.tag == 0


def test_statements_that_contradict() -> None:
    first = Statement("A", 1, height=5, mhg=4, mhp=3)
    assert contradicting(first, first._replace(tip=2))
    assert contradicting(first, Statement("A", 2, height=6, mhg=4, mhp=3))
    assert contradicting(first, Statement("A", 2, height=6, mhg=5, mhp=2))
    assert not contradicting(first, Statement("A", 2, height=6, mhg=5, mhp=3))


def test_genesis_is_final_and_everyone_may_vote() -> None:
    block = genesis(voting_set({"A": 3, "B": 1}, Rules()), Rules())
    assert (block.mhp, block.mhpc, block.final) == (0, 0, block)
    assert block.seats.active.threshold == 3


# ---------------------------------------------------------------------------------------------------- the old fault


@dataclass
class Fork:
    """A history written by hand: who attests a tip, and what the next block on it decides.  A is Byzantine."""

    world: World

    def grow(self, parent: Block, speakers: str, decision: Decision = NOTHING, without: str = "") -> Block:
        """A block on ``parent``, which ``speakers`` attest; it carries what is new but the words of ``without``."""
        pool = self.world.pool
        for name in speakers.replace("A", ""):
            self.world.attest(name, parent)
        lie = Statement("A", parent.id, parent.height, recorded_height("A", parent), parent.shown)
        told = pool.setdefault(parent.id, [])
        told.extend([lie] if "A" in speakers and lie not in told else [])
        known = [said for tip in (parent, parent.parent) if tip for said in pool.get(tip.id, ())]
        new = [said for said in known if said.height not in parent.said.get(said.speaker, {})]
        carried = [said for said in new if said.speaker not in without]
        block = extend(parent, len(self.world.blocks), None, carried, decision, self.world.rules)
        self.world.blocks.append(block)
        return block


def fork_of(first: str, rules: Rules) -> Fork:
    cast = Cast(voting_set(dict.fromkeys(first, 1), rules), frozenset("A"))
    return Fork(World(Random(0), rules, cast, Weather(0)))


def is_conflict(one: Block, other: Block) -> bool:
    low, high = sorted((one.final, other.final), key=lambda block: block.height)
    return high.ancestor(low.height) is not low


def fork_while_one_is_replaced(rules: Rules) -> tuple[Block, Block]:
    """D is replaced by E.  A, B, E see the decision final one block earlier than A, C, D do on their branch."""
    fork = fork_of("ABCD", rules)
    decision = Decision(the_set(fork.world, "ABCE"))
    common = fork.grow(fork.grow(fork.grow(fork.world.blocks[0], ""), "ABCD", decision), "ABCD")
    left, right = fork.grow(common, "ABCD"), fork.grow(common, "", without="BD")
    for _ in range(4):
        left = fork.grow(left, "ABE")
    for _ in range(3):
        right = fork.grow(right, "ACD", without="B")
    return left, right


def fork_while_honest_ones_are_jailed(rules: Rules) -> tuple[Block, Block]:
    """E, F, G are jailed on the branch of A, B, C only; A, D, E, F, G go on without that."""
    fork = fork_of("ABCDEFG", rules)
    common = fork.grow(fork.world.blocks[0], "")
    left = right = common
    for gone in ("G", "F", "E"):
        kept = "".join(name for name in left.seats.active.weights if name != gone)
        may = left.seats.may_decide(rules)
        left = fork.grow(left, "ABC", Decision(the_set(fork.world, kept), frozenset(gone)) if may else NOTHING)
    for _ in range(4):
        left, right = fork.grow(left, "ABC"), fork.grow(right, "ADEFG")
    return left, right


def test_the_rule_of_before_forks_while_one_is_replaced_and_the_joint_phase_does_not() -> None:
    assert is_conflict(*fork_while_one_is_replaced(Rules(today=True)))
    assert not is_conflict(*fork_while_one_is_replaced(Rules()))


def test_who_is_jailed_keeps_its_weight_until_the_phases_take_it() -> None:
    assert is_conflict(*fork_while_honest_ones_are_jailed(Rules(jail_at_once=True)))
    assert not is_conflict(*fork_while_honest_ones_are_jailed(Rules()))


# ------------------------------------------------------------------------------------------------------------ traces


def test_traces_replay_and_hold_blocks_to_refuse() -> None:
    kinds = [name for name, kind in KINDS.items() if not kind.over]
    traces = [trace_of_seed(kinds[at % len(kinds)], (4, 7, 10)[at % 3], at) for at in range(TRACES)]
    assert {difference(trace) for trace in traces} == {""}
    rows = [row for trace in traces for row in trace.blocks]
    assert sum(row.expected is None for row in rows) > TRACES
    assert {row.expected.phase for row in rows if row.expected} == {"none", "gate", "joint"}


def test_a_trace_that_expects_something_else_is_noticed() -> None:
    trace = trace_of_seed("static", 4, 0)
    last = trace.blocks[-1]
    assert last.expected is not None
    wrong = replace(last, expected=replace(last.expected, mhpc=last.expected.mhpc + 1))
    assert "in the model" in difference(replace(trace, blocks=(*trace.blocks[:-1], wrong)))
