"""What the explorer checks by itself, run by Node.js: it finds nothing wrong in the truth, and every lie."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.registered import changing_city
from tests.support.told import Teller, heading_of, told

NODE_JS = shutil.which("node")
FOLDER = Path(__file__).parent
TIMEOUT_S = 300.0

pytestmark = pytest.mark.skipif(NODE_JS is None, reason="Node.js is not installed")

# Those of Teller.lies, by whose name each is a test of its own.
LIES = (
    "wrong root", "wrong signature", "forged finality", "wrong leader", "altered member", "wrong path",
    "proof of another key", "missing votes", "changed genesis", "altered score", "hidden line",
)  # fmt: skip

Found = dict[str, dict[str, list[str]]]


def script(name: str, *arguments: str, said: str = "") -> str:
    command = [str(NODE_JS), str(FOLDER / name), *arguments]
    ended = subprocess.run(command, input=said, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def checks(*cases: dict[str, Any]) -> Found:
    found: Found = json.loads(script("explorer_checks.mjs", said=json.dumps(cases)))
    return found


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Teller:
    return Teller(tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def found(teller: Teller, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What is found in the truth, and in each lie."""
    common = {"pinned": teller.city.genesis.id.hex(), "member": teller.member}
    other = teller.other_node(tmp_path_factory.mktemp("other"))
    lies = [{**common, "name": name, "answers": answers} for name, (answers, _) in teller.lies().items()]
    honest = {**common, "name": "honest", "answers": teller.honest}
    return checks(
        honest,
        {**honest, "name": "agreeing", "other": teller.honest},
        {**honest, "name": "contradicting", "other": other},
        *lies,
    )


@pytest.mark.parametrize("name", ["honest", "agreeing"])
def test_the_truth_is_found_to_be_so(found: Found, name: str) -> None:
    assert {state for state, _ in found[name].values()} == {"checked"}, found[name]


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found(found: Found, teller: Teller, name: str) -> None:
    wrong = {what: detail for what, (state, detail) in found[name].items() if state == "wrong"}
    assert [what.partition(" ")[0] for what in wrong] == [teller.lies()[name][1]], found[name]


def test_two_nodes_with_other_final_blocks_are_found(found: Found) -> None:
    assert found["contradicting"]["other nodes: the other"][0] == "wrong"


def test_a_node_that_was_alone_and_came_back_to_a_lower_head_has_not_lied(teller: Teller) -> None:
    city, alone = teller.city, teller.city.blocks[-4]
    branch = teller.city.blocks[:-3]
    for _ in range(6):  # one validator makes blocks of its own, above the head that it comes back to
        alone = city.stray(alone, slot=alone.header.slot + len(city.validators))
        branch.append(alone)
    assert alone.header.height > city.height
    final = city.votes(branch[-1]).finalized
    status = {"finalized_height": final, "finalized_id": city.blocks[final - 1].id.hex()}
    answers = {
        **teller.honest,
        "/headers": [heading_of(block) for block in branch],
        "/status": {**teller.honest["/status"], **status},
    }
    case = {"name": "reorg", "pinned": city.genesis.id.hex(), "answers": answers, "later": teller.honest}
    found = checks(case)["reorg"]
    assert {state for state, _ in found.values()} == {"checked"}, found
    assert f"Height {teller.honest['/status']['finalized_height']} is final" in found["finality"][1]


def test_changes_of_the_validators_are_followed(tmp_path: Path) -> None:
    city = changing_city(30)
    answers = told(city, tmp_path)
    found = checks({"name": "city", "pinned": city.genesis.id.hex(), "answers": answers})["city"]
    assert {state for state, _ in found.values()} == {"checked"}, found


def test_the_vectors_of_the_wire_are_agreed_with() -> None:
    assert script("explorer_vectors.mjs", str(FOLDER.parents[2] / "vectors" / "wire")) == "agreed\n"
