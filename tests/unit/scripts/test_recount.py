"""The recount: what it is made of, what it says of a row that should not have been accepted, and where it differs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.content.actions import Action, Answer, Enrol, Object, Rate, Rotate, Rule, Statement
from chain.content.transactions import Transaction
from chain.register.entries import Member
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import member_key
from scripts import recount
from scripts.recount.entries import differences
from scripts.recount.follow import recount_of
from scripts.recount.rows import recount_from, row_of
from tests.support.registered import lively_city
from tests.support.world import genesis_of, secret

ANN, BOB, CLEO, LENA = (secret(number).public for number in (50, 51, 52, 53))
NOBODY_KNOWS = "something about somebody who has not enrolled"
# Types that encode and decode, and the key under which each entry stands; no rule about what they may say.
ALLOWED = {
    "chain.content.blocks", "chain.consensus.electorate", "chain.content.genesis", "chain.content.identities",
    "chain.content.policy", "chain.content.proposals", "chain.register.state", "chain.register.entries",
    "chain.register.statekeys", "chain.content.actions", "chain.content.kinds", "chain.content.transactions",
    "chain.register.validators", "chain.content.policyfile",
}  # fmt: skip
# What follows from a policy or an entry is worked out without them.
METHODS = {"score", "level", "tier", "slots", "clamp", "is_capped", "due_slot", "amended"}
RULES = {
    "due_slot", "amendment_fault", "read_policy", "is_equivocation", "verify_transaction", "request", "begin",
    "decision", "weights_of",
}  # fmt: skip


def imports_of(name: str) -> Iterator[tuple[str, str]]:
    """``(module, name)`` of everything that a file of the recount imports."""
    path = Path(recount.__file__).parent / f"{name}.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Import)
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_the_recount_is_all_of_these_files() -> None:
    folder = Path(recount.__file__).parent
    files = {
        "__init__",
        "lives",
        "council",
        "book",
        "disputes",
        "notice",
        "people",
        "persons",
        "enrolments",
        "rules",
        "standing",
        "voices",
        "rows",
        "entries",
        "follow",
    }
    assert {path.stem for path in folder.glob("*.py")} == files


WITHOUT_CHAIN = (
    "lives",
    "council",
    "standing",
    "book",
    "disputes",
    "notice",
    "voices",
    "persons",
    "enrolments",
    "people",
    "rules",
)


@pytest.mark.parametrize("name", WITHOUT_CHAIN)
def test_the_rules_are_written_without_the_chain(name: str) -> None:
    modules = {module for module, _ in imports_of(name)}
    ours = {module for module in modules if module.split(".")[0] not in sys.stdlib_module_names}
    assert ours <= {f"scripts.recount.{each}" for each in WITHOUT_CHAIN if each != "rules"}


@pytest.mark.parametrize("name", ["rows", "entries"])
def test_what_touches_the_chain_only_encodes_and_decodes(name: str) -> None:
    found = set(imports_of(name))
    chain = {module for module, _ in found if module.split(".")[0] == "chain"}
    assert chain
    assert chain <= ALLOWED
    assert not {imported for _, imported in found} & RULES
    tree = ast.parse((Path(recount.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    assert not {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & METHODS


def row(actor: bytes, nonce: int, action: Action) -> dict[str, object]:
    return row_of(Transaction(bytes(32), actor, nonce, 9, action, b""))


@pytest.mark.parametrize(
    ("actor", "nonce", "action", "fault"),
    [
        (ANN, 1, Enrol(), "enrolled twice"),
        (ANN, 2, Rate(BOB, 1, 5), "a nonce out of turn"),
        (CLEO, 0, Rate(ANN, 1, 5), "a rating by nobody, or about oneself"),
        (ANN, 1, Rate(ANN, 1, 5), "a rating by nobody, or about oneself"),
        (ANN, 1, Rate(CLEO, 1, 5), NOBODY_KNOWS),
        (ANN, 1, Rate(BOB, 1, 11), "a rating against the policy"),
        (ANN, 1, Rate(BOB, 9, 1), "a rating against the policy"),
        (ANN, 1, Rotate(BOB, b""), "a key of somebody else is taken over"),
        (CLEO, 0, Rotate(LENA, b""), "a stranger moves"),
        (ANN, 1, Object(BOB, 0, b""), "object by somebody else"),
        (ANN, 1, Object(ANN, 0, b""), "something happens to a record that is over or due"),
        (ANN, 1, Statement(ANN, 3, b""), "something happens to a record that is over or due"),
        (ANN, 1, Answer(BOB, 0, 2, 0, b""), "something happens to a record that is over or due"),
        (ANN, 1, Rule(CLEO, 0, 1, b""), NOBODY_KNOWS),
    ],
)
def test_a_row_that_should_not_have_been_accepted_is_a_fault(
    actor: bytes, nonce: int, action: Action, fault: str
) -> None:
    book = recount_from(genesis_of(1))
    book.write(1, 1, [row(ANN, 0, Enrol()), row(BOB, 0, Enrol())])
    assert book.faults == []
    book.accept(row(actor, nonce, action))
    assert book.faults == [f"height 1: {fault}"]


def test_a_key_that_was_left_does_nothing_more() -> None:
    book = recount_from(genesis_of(1))
    book.write(1, 1, [row(ANN, 0, Enrol()), row(ANN, 1, Rotate(LENA, b"")), row(ANN, 2, Enrol())])
    assert book.faults == ["height 1: a key that was left acts"]
    assert (book.who(LENA), book.current[ANN]) == (ANN, LENA)


def test_a_difference_says_what_differs() -> None:
    city = lively_city()
    state = city.state(city.blocks[-1])
    book = recount_of(city.genesis, city.blocks)
    bob = member_key(city.bob.key)
    member = decode_entry(bob, state[bob])
    assert isinstance(member, Member)
    state = {**state, bob: encode_entry(member._replace(filed=9, suspended=7)), member_key(CLEO): state[bob]}
    del state[member_key(city.dan.key)]
    found = [text for text in differences(book, state) if text[0] == "m"]
    assert found == sorted(found)
    told = {text.split(": ")[1] for text in found}
    assert f"filed 9, suspended 7 in the state, filed {member.filed}, suspended {member.suspended} by recount" in told
    assert told >= {"a Member in the state, nothing by recount", "nothing in the state, a Member by recount"}
