"""People at the command line of ``scripts/registry.py`` and one real node between them."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.content.genesis import found_genesis
from chain.content.policyfile import shipped_policy
from p2p.client import STATUS, Client
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from tests.support.client import run_client
from tests.support.running import DEADLINE_S, ROOT, RunningNode, running
from tests.support.world import secret

LOCAL = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """The only validator of a city's register, with quick slots."""
    now_ms = time.time_ns() // 1_000_000
    genesis = found_genesis(
        "city", shipped_policy("municipal"), [secret(1).public], genesis_time_ms=now_ms, slot_ms=200
    )
    create_home(tmp_path / "node", genesis, secret(1).seed, LOCAL)
    with running(tmp_path / "node") as node:
        yield node


class Desk:
    """Where people sit: a folder with their keys and papers, and a node to talk to."""

    def __init__(self, folder: Path, node: RunningNode) -> None:
        self.folder = folder
        self.node = node

    def run(self, *arguments: str, code: int = 0) -> Any:
        """Run one command with ``--json`` in this process: its document."""
        ended = run_client(*arguments, "--json")
        assert ended.code == code, (arguments, ended)
        return ended.document

    def run_process(self, *arguments: str, code: int = 0) -> Any:
        """The same in a process of its own, as people do."""
        command = [sys.executable, str(ROOT / "scripts" / "registry.py"), *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    def new_key(self, name: str) -> str:
        did: str = self.run("key", "new", str(self.folder / name))["did"]
        assert stat.S_IMODE((self.folder / name).stat().st_mode) == 0o600
        return did

    def act(self, *arguments: str, key: str, code: int = 0) -> Any:
        """Run a command that signs with the key of this name."""
        return self.run(*arguments, "--key", str(self.folder / key), "--node", self.node.url, code=code)


def test_a_record_is_filed_objected_to_maintained_and_heard(tmp_path: Path, node: RunningNode) -> None:
    desk = Desk(tmp_path, node)
    ann, bank, court = (desk.new_key(name) for name in ("ann", "bank", "court"))
    paper = str(tmp_path / "paper")
    Path(paper).write_text("what happened", encoding="utf-8")

    alone = desk.run_process("enrol", "--key", str(tmp_path / "ann"), "--node", node.url, code=1)
    assert alone["refused"] == "no_consent"
    assert "registrar" in alone["needed"]

    loans = ("--category", "contract or loan")
    home = ("--home", str(node.home))
    for number, (name, motion) in enumerate(
        {"bank": (bank, *loans, "--registrar"), "court": (court, "--arbiter")}.items()
    ):
        assert desk.run("motion", "accredit", *motion, *home)["state"] == "final"
        assert desk.act("consent", str(number), key=name)["state"] == "final"

    token = desk.act("cosign", "--member", ann, key="bank")["token"]
    assert desk.act("enrol", "--consent", token, key="ann")["state"] == "final"

    filing = ("record", ann, *loans, "--severity", "minor", "--established", "now", "--evidence", paper)
    assert desk.act(*filing, key="court", code=1)["refused"] == "not_accredited"
    filed = desk.run_process(*filing, "--key", str(tmp_path / "bank"), "--node", node.url)
    assert (filed["kind"], filed["state"]) == ("record", "final")
    again = desk.run("transaction", filed["id"], "--node", node.url)
    assert (again["state"], again["height"]) == ("final", filed["height"])

    assert desk.act("object", "0", "--grounds", paper, key="ann")["state"] == "final"
    early = desk.act("rule", "strike", ann, "0", "--reason", paper, key="court", code=1)
    assert early["refused"] == "not_maintained"
    assert desk.act("answer", "maintain", ann, "0", "--reason", paper, key="bank")["state"] == "final"
    heard = desk.act("rule", "strike", ann, "0", "--reason", paper, key="court", code=1)
    assert (heard["refused"], "when" in heard) == ("in_hearing", True)
    assert desk.act("object", "0", "--grounds", paper, key="ann", code=1)["refused"] == "under_objection"

    status = desk.act("status", key="ann")
    assert (status["did"], status["member"], status["transactions"], status["waiting"]) == (ann, True, 2, 0)
    assert "Traceback" not in node.log()


def test_an_import_that_is_killed_goes_on_and_files_no_row_twice(tmp_path: Path, node: RunningNode) -> None:
    desk = Desk(tmp_path, node)
    ann, bank = (desk.new_key(name) for name in ("ann", "bank"))
    home = ("--home", str(node.home))
    desk.run("motion", "accredit", bank, "--category", "contract or loan", "--registrar", *home)
    desk.act("consent", "0", key="bank")
    desk.act("enrol", "--registrar-key", str(tmp_path / "bank"), key="ann")
    table, journal = tmp_path / "table.csv", tmp_path / "table.csv.journal"
    with Client(node.url) as asking:
        slot = asking.ask(STATUS)["slot"]
    rows = [f"{ann},1,minor,{slot},{number:064x}" for number in range(40)]
    table.write_text("\n".join(["member,category,severity,established,evidence_digest", *rows]), encoding="utf-8")

    options = ["import", str(table), "--key", str(tmp_path / "bank"), "--node", node.url]
    command = [sys.executable, str(ROOT / "scripts" / "registry.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as importing:
        deadline = time.monotonic() + DEADLINE_S
        while not (journal.exists() and b'"raw"' in journal.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        importing.kill()

    done = desk.run(*options)
    assert (done["filed"] + done["filed_before"], done["refused"], done["waiting"]) == (40, 0, 0)
    evidence = [row["evidence"] for row in desk.run("records", ann, "--node", node.url)["records"]]
    assert sorted(evidence) == [f"{number:064x}" for number in range(40)]
