"""One key on two machines: moved as it should be, and copied as it should not.  Nowhere is a slot signed twice."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.consensus.headers import Header
from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from tests.support.running import DEADLINE_S, RunningNode, run_to_end, running, wait_for
from tests.support.world import Actor, genesis_of, secret

KEY = secret(2).public


class Pair:
    """A network of two validators, in which nothing is final without both.  The first one runs."""

    def __init__(self, folder: Path, genesis: Genesis) -> None:
        self.folder = folder
        self.genesis = genesis
        self.first: RunningNode
        self._actors = 100

    def home(self, name: str) -> Path:
        return self.folder / name

    def config(self) -> HomeConfig:
        """Quick to find the first validator, once that runs."""
        facts = self.home("first") / "node.json"
        peers = json.loads(facts.read_text(encoding="utf-8"))["addresses"][:1] if facts.exists() else []
        return HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0", peers=peers)

    @contextmanager
    def second(self, name: str) -> Iterator[RunningNode]:
        """The second validator, run from this home; it ends with SIGTERM."""
        with running(self.home(name)) as node:
            yield node
            if node.process.poll() is None:
                stop(node)

    def submit(self) -> None:
        """Give the first validator something to do."""
        self._actors += 1
        assert self.first.submit([Actor(self.genesis, self._actors).sign(Enrol())]) == [None]

    def make_final(self, what: str, second: RunningNode) -> None:
        """Submit something and wait until it is final, which takes both validators, and neither has more to sign.

        That they know: whoever is stopped before it heard of the last block would sign on when it starts again.
        """
        self.submit()

        def is_at_rest() -> bool:
            one, other = self.first.status(), second.status()
            is_final = {one["final_transactions"], other["final_transactions"]} == {self._actors - 100}
            if is_final and one["head_id"] != other["head_id"] and one["height"] == other["height"]:
                self.submit()  # each stands by its own block of that height until there is more to do
                return False
            return is_final and one["head_id"] == other["head_id"]

        wait_for(is_at_rest, what, every_s=0.5)

    def headers(self, *names: str) -> dict[str, set[Header]]:
        """Every header by the second validator's key that each of these homes knows, on whatever branch."""
        found: dict[str, set[Header]] = defaultdict(set)
        for name in names:
            reader = Reader(self.home(name) / DATABASE, self.genesis)
            for main in (True, False):
                found[name] |= {item for item, _ in reader.headers(1, 1_000_000, main=main) if item.proposer == KEY}
            reader.close()
        return found


def stop(node: RunningNode) -> None:
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(DEADLINE_S) == 0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    # Without heartbeats, so that blocks are made where a test wants some.
    genesis = genesis_of(2, genesis_time_ms=time.time_ns() // 1_000_000, slot_ms=200, heartbeat_slots=1_000_000)
    pair = Pair(tmp_path, genesis)
    create_home(pair.home("first"), genesis, secret(1).seed, pair.config())
    with running(pair.home("first")) as pair.first:
        create_home(pair.home("second"), genesis, secret(2).seed, pair.config())
        yield pair


def assert_no_slot_signed_twice(*known: set[Header]) -> None:
    headers = set().union(*known)
    assert len({header.slot for header in headers}) == len(headers) > 1


def test_a_validator_moves_to_another_machine(pair: Pair, tmp_path: Path) -> None:
    old, new, file = pair.home("second"), pair.home("new"), tmp_path / "move.json"
    exporting = ("signing", "export", str(file), "--home", str(old))
    with pair.second("second") as node:
        pair.make_final("both validators sign", node)
        ended = run_to_end(*exporting)
        assert (ended.returncode, ended.stderr.count("\n"), file.exists()) == (2, 1, False)
        assert "in use by another process; stop its node first" in ended.stderr
    assert run_to_end(*exporting).returncode == 0

    # The old machine follows, and signs nothing more, though it is wanted.
    with pair.second("second") as node:
        assert node.status()["validator"] is False
        node.wait_said("its signing state left this home")
        before = node.status()
        pair.submit()
        wait_for(lambda: node.status()["height"] > before["height"] + 2, "it follows, past slots of its own")
    old_headers = pair.headers("second")["second"]

    genesis, key, peer = old / "genesis.json", old / "key", pair.config().peers[0]
    made = run_to_end("init", "--home", str(new), "--genesis", str(genesis), "--key", str(key), "--peer", peer)
    assert made.returncode == 0, made.stderr
    (new / "config.toml").write_text(pair.config().to_toml(), encoding="utf-8")
    assert run_to_end("signing", "import", str(file), "--home", str(new)).returncode == 0
    with pair.second("new") as node:
        # Silent it would stay so forever: nothing is final without it.
        pair.make_final("the new machine signs", node)
        assert (node.status()["validator"], node.status()["silent"]) == (True, False)

    known = pair.headers("first", "second", "new")
    state = json.loads(file.read_text(encoding="ascii"))["signing"]
    assert max(header.slot for header in old_headers) == state["slot"]
    assert all(header.slot > state["slot"] for header in known["new"] - old_headers)
    assert len(known["new"]) > len(old_headers)
    assert_no_slot_signed_twice(*known.values())


def test_of_a_copied_home_only_one_goes_on_signing(pair: Pair) -> None:
    # given a validator whose home is copied, and that signs on
    with pair.second("second") as original:
        pair.make_final("both validators sign", original)
    shutil.copytree(pair.home("second"), pair.home("copy"))
    with pair.second("second") as original:
        pair.make_final("the original signs on", original)

        # when the copy runs as well
        with pair.second("copy") as copy:
            pair.make_final("the original signs on beside its copy", original)
            assert copy.status()["peers"] == 0  # the others talk to one of both
            stop(original)
            copy.wait_said("this node says no more")

            # then it signs nothing, though nothing becomes final without it
            before = copy.status()
            pair.submit()
            wait_for(lambda: copy.status()["height"] > before["height"] + 2, "it follows, past slots of its own")
    known = pair.headers("first", "second", "copy")
    # All of them are the original's; what it lost to another branch, the copy never heard of.
    assert known["first"] | known["copy"] <= known["second"]
    assert_no_slot_signed_twice(*known.values())
