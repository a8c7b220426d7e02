"""The lab's experiments, as its page leads them, and the server that brings them there."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from chain.consensus.votes import Votes
from scripts.lab import lab
from scripts.lab_parts import server
from scripts.lab_parts.engine import engine
from scripts.lab_parts.experiment import Experiment, answer, choices
from tests.support.running import ROOT

SLOTS = 30
DOUBLE_SIGNERS = ("equivocates", "clones", "betrays")


def after(experiment: Experiment, slots: int) -> dict[str, Any]:
    told = experiment.now()
    for _ in range(slots):
        told = experiment.step()
    return told


def finals(told: dict[str, Any]) -> list[int]:
    return [node["final_height"] for node in told["nodes"] if not node["villain"]]


# --------------------------------------------------------------------------------------------- what is to be seen


@pytest.mark.parametrize("attack", DOUBLE_SIGNERS)
def test_finality_holds_against_one_of_four_who_is_named(attack: str) -> None:
    with closing(Experiment(3, 4, attack, 1)) as experiment:
        told = after(experiment, SLOTS)
    villains = [node["name"] for node in told["nodes"] if node["villain"]]
    assert (told["forked"], told["violation"]) == (0, "")
    assert told["named"] == villains
    assert max(finals(told)) > 0


@pytest.mark.parametrize("attack", DOUBLE_SIGNERS)
def test_it_falls_with_one_too_many_and_all_are_named(attack: str) -> None:
    with closing(Experiment(3, 4, attack, 2)) as experiment:
        told = after(experiment, SLOTS)
    villains = [node["name"] for node in told["nodes"] if node["villain"]]
    assert told["forked"] > 0
    assert (len(villains), told["named"]) == (2, villains)


def test_a_cut_in_halves_stops_finality_and_healing_lets_it_go_on() -> None:
    with closing(Experiment(5, 4, "silent", 0)) as experiment:
        after(experiment, 10)
        experiment.cut(["node0", "node1"])
        before = finals(after(experiment, 5))
        told = after(experiment, 15)
        assert finals(told) == before
        assert [node["apart"] for node in told["nodes"]] == [True, True, False, False]
        assert len({node["head"] for node in told["nodes"]}) == 2
        experiment.heal()
        told = after(experiment, 25)
    assert min(finals(told)) > max(before)
    assert len({node["final"] for node in told["nodes"]}) == 1


def test_each_block_is_told_once_and_after_its_parent() -> None:
    with closing(Experiment(3, 4, "equivocates", 1)) as experiment:
        steps = [experiment.step() for _ in range(SLOTS)]
    blocks = [block for step in steps for block in step["blocks"]]
    ids = [block["id"] for block in blocks]
    assert len(set(ids)) == len(ids) > 0
    assert {node["head"] for node in steps[-1]["nodes"]} <= set(ids)


def test_every_attack_that_is_offered_runs() -> None:
    offered = choices()
    assert offered["tolerated"]["4"] == 1
    for attack, what in offered["attacks"].items():
        assert what.endswith(".")
        with closing(Experiment(1, 4, attack, 1)) as experiment:
            assert after(experiment, 5)["violation"] == ""


def test_the_page_asks_in_text() -> None:
    assert json.loads(answer('{"do": "choices"}')) == choices()
    begun = {"do": "begin", "seed": 3, "validators": 4, "villains": 0, "attack": "silent"}
    assert json.loads(answer(json.dumps(begun)))["slot"] == 0
    assert json.loads(answer('{"do": "step"}'))["slot"] == 1
    assert json.loads(answer('{"do": "cut", "names": ["node0"]}'))["nodes"][0]["apart"] is True
    assert json.loads(answer('{"do": "heal"}'))["nodes"][0]["apart"] is False
    before = Votes.genesis
    assert json.loads(answer('{"do": "end"}')) == {}  # else what one node computes would be all others' for good
    assert Votes.genesis != before


# -------------------------------------------------------------------------------------------- what travels there


def test_the_engine_travels_whole_and_runs_on_the_stand_in_alone(tmp_path: Path) -> None:
    assert engine() == engine()
    zipfile.ZipFile(io.BytesIO(engine())).extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from scripts.lab_parts.standin import take_the_place\n"
        "take_the_place()\n"
        "from scripts.lab_parts.experiment import Experiment\n"
        "experiment = Experiment(3, 4, 'betrays', 2)\n"
        f"told = [experiment.step() for _ in range({SLOTS})][-1]\n"
        "print(told['forked'] > 0, len(told['named']), told['violation'])\n"
        "assert not [name for name in sys.modules if name.startswith(('_cffi', 'cryptography.hazmat.bindings'))]\n"
    )
    command = [sys.executable, "-I", "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("True 2 \n", "")


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "pyodide.mjs").write_text("// Python", encoding="utf-8")
    monkeypatch.setattr(server, "PYODIDE", tmp_path)
    monkeypatch.setitem(server._FOLDERS, "pyodide", tmp_path)
    with server.serving() as (address, serving):
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield address
        serving.shutdown()
        thread.join()


def test_the_server_gives_the_page_and_nothing_beside_it(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        page = client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'self'" in page.headers["content-security-policy"]
        for place in ("/lab/lab.js", "/lab/worker.js", "/lab/lab.css", "/explorer/tree.js", "/pyodide/pyodide.mjs"):
            assert client.get(place).status_code == 200
        assert client.get("/engine.zip").content == engine()
        for place in ("/lab/../server.py", "/lab/%2e%2e/server.py", "/explorer/../face.py", "/other/x.js", "/lab"):
            assert client.get(place).status_code == 404
        assert client.get("/", headers={"host": "elsewhere.example:80"}).status_code == 404


def test_without_pyodide_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PYODIDE", tmp_path)
    ended = CliRunner().invoke(lab, ["--no-open"])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: Python for the browser (Pyodide, 14 MB) is not there; bring it with `npm ci")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_wheel_and_the_repository_hold_no_pyodide() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "scripts/lab_parts"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "node_modules" not in listed.stdout
