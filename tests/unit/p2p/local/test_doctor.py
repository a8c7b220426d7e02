"""``node.py doctor``: what it finds wrong with a home, its machine and its network, each with a remedy."""

from __future__ import annotations

from p2p.local.commandline import version

import json
import os
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import click
import pytest
import trio

from chain.disk.database import DATABASE
from chain.disk.newcomer import draft_of
from chain.documents.nodeshapes import Peer
from chain.protocol.messages import Status
from node import main, open_node
from p2p.addresses import PeerAddress, read_address
from p2p.client import PeerTable
from p2p.consult import FOREIGN, Opinion, consult
from p2p.local.config import HomeConfig
from p2p.local.doctor import folded
from p2p.local.examine import Case, Finding, examine, judge_peers
from p2p.local.handover import export_signing
from p2p.local.home import create_home, load_home, locked
from p2p.local.keyfile import rewrite_key, write_key
from p2p.local.passphrase import ASKED
from tests.support.commands import exit_code
from tests.support.world import genesis_of, secret
from tests.unit.p2p.net import PATIENCE_S, free_address, until
from tests.unit.p2p.test_client import STATUS_OF_A_NODE

LOCAL = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")
HOUR_MS = 3_600_000
PEER = "/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The stopped home of the only validator of its network."""
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000 - HOUR_MS, slot_ms=HOUR_MS)
    create_home(tmp_path / "node", genesis, secret(1).seed, LOCAL)
    return tmp_path / "node"


def configure(home: Path, **changes: Any) -> None:
    (home / "config.toml").write_text(replace(LOCAL, **changes).to_toml(), encoding="utf-8")


def wrong(home: Path) -> list[Finding]:
    return [finding for finding in examine(home, ASKED)[1] if not finding.is_fine]


def only(findings: Sequence[Finding]) -> tuple[str, str, str]:
    """The one thing that is wrong: its check, what it is like, and the remedy, which everything has."""
    (finding,) = findings
    assert finding.remedy
    return finding.check, finding.what, finding.remedy


def forget(home: Path, name: str) -> None:
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        assert connection.execute("DELETE FROM meta WHERE key = ?", (name,)).rowcount == 1


@pytest.mark.parametrize(
    ("told", "check", "says"),
    [
        ({"stalled": {"missing": ["did:key:z6Mk"]}}, "finality", "restart sign restart.json --home"),
        ({"silent_why": "it is jailed"}, "signing", "leave the node running"),
        ({"silent_why": "its clock is ahead", "signs_again": "2026-01-01"}, "signing", "again at 2026-01-01"),
    ],
)
def test_what_a_running_node_lacks_has_its_remedy_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], check: str, says: str
) -> None:
    nothing = {"version": version(), "silent_why": None, "signs_again": None, "stalled": None}
    client = MagicMock()
    client.__enter__.return_value.ask.side_effect = [{**STATUS_OF_A_NODE, **nothing, **told}, {"peers": []}]
    monkeypatch.setattr("p2p.local.examine.announced", lambda _home: SimpleNamespace(http="", addresses=[]))
    monkeypatch.setattr("p2p.local.examine.Client", lambda _url: client)
    found, _, remedy = only(wrong(home))
    assert (found, says in remedy) == (check, True)


def test_a_sound_home_has_no_findings(home: Path) -> None:
    case, findings = examine(home, ASKED)
    assert [finding for finding in findings if not finding.is_fine] == []
    checks = {finding.check for finding in findings}
    assert checks == {
        "genesis", "configuration", "key", "node", "permissions", "disk", "database", "signing state", "ports",
    }  # fmt: skip
    assert list(judge_peers(case, [])) == [Finding("peers", True, "no peer is named, and one validator needs none")]


def test_looking_changes_nothing(home: Path) -> None:
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    examine(home, ASKED)
    assert {name: (home / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("name", ["key", "config.toml", "genesis.json"])
def test_a_missing_file_is_a_finding(home: Path, name: str) -> None:
    (home / name).unlink()
    assert any(f"{name} is missing" in finding.what for finding in wrong(home))


def test_a_home_that_is_not_there_is_one_finding(tmp_path: Path) -> None:
    check, what, remedy = only(wrong(tmp_path / "nowhere"))
    assert (check, what) == ("home", f"there is no folder {tmp_path / 'nowhere'}")
    assert "--home" in remedy


def test_a_mistake_in_the_configuration_is_named_by_its_line(home: Path) -> None:
    (home / "config.toml").write_text("\nlisen = []\n", encoding="utf-8")
    check, what, remedy = only(wrong(home))
    assert (check, "line 2: no setting 'lisen'" in what, remedy) == ("configuration", True, "did you mean 'listen'?")


def test_modes_are_looked_at(home: Path) -> None:
    (home / "key").chmod(0o640)
    check, _, remedy = only(wrong(home))
    assert (check, remedy) == ("key", f"run `chmod 600 {home / 'key'}`")
    (home / "key").chmod(0o600)
    home.chmod(0o777)
    assert only(wrong(home))[::2] == ("permissions", f"run `chmod go-w {home}`")


def test_an_encrypted_key_is_not_asked_for(home: Path) -> None:
    rewrite_key(home / "key", secret(1).seed, b"word")
    _, findings = examine(home, ASKED)
    assert Finding("key", True, "it is encrypted, and was not opened") in findings


def test_a_lost_signing_state_is_a_finding(home: Path) -> None:
    forget(home, "signing")
    check, what, remedy = only(wrong(home))
    assert (check, "is lost" in what, "never restore an older database" in remedy) == ("signing state", True, True)


def test_an_exported_signing_state_is_a_finding(home: Path, tmp_path: Path) -> None:
    export_signing(load_home(home), tmp_path / "move.json")
    assert only(wrong(home))[:2] == ("signing state", "it left this home, which signs nothing")


def test_an_observer_needs_no_signing_state(home: Path) -> None:
    forget(home, "signing")
    (home / "key").unlink()
    write_key(home / "key", secret(9).seed)
    assert wrong(home) == []


def test_another_key_than_the_one_that_signed_is_a_finding(home: Path) -> None:
    export_signing(load_home(home), home.parent / "move.json")  # whatever opens it to write binds the key
    (home / "key").unlink()
    write_key(home / "key", secret(9).seed)
    assert "which is not its key" in only(wrong(home))[1]


def test_a_missing_or_damaged_database_is_a_finding(home: Path) -> None:
    (home / DATABASE).write_bytes(b"no database" * 1_000)
    assert only(wrong(home))[0] == "database"
    (home / DATABASE).unlink()
    assert only(wrong(home))[0] == "database"


def test_a_full_disk_is_a_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.local.examine.ENOUGH_ROOM", 2**63)
    assert only(wrong(home))[0] == "disk"


def test_a_port_that_is_taken_is_a_finding(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        configure(home, listen=[f"/ip4/127.0.0.1/tcp/{port}"])
        assert only(wrong(home))[:2] == ("ports", f"port {port} of 127.0.0.1 is taken by another program")
        configure(home, http=f"127.0.0.1:{port}")
        assert only(wrong(home))[0] == "ports"
    assert wrong(home) == []


def test_a_home_that_joins_is_not_taken_for_another_program(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        configure(home, listen=[f"/ip4/127.0.0.1/tcp/{ours.getsockname()[1]}"])
        with locked(home):
            draft_of(home / DATABASE).touch()
            assert wrong(home) == []
            assert "it joins by state" in {finding.what for finding in examine(home, ASKED)[1]}


def test_an_address_of_another_machine_is_a_finding(home: Path) -> None:
    configure(home, listen=["/ip4/192.0.2.1/tcp/0"])
    assert "cannot be had" in only(wrong(home))[1]


def test_where_nobody_outside_can_come_in_is_a_finding(home: Path) -> None:
    configure(home, peers=[PEER])
    assert "listens to this machine only" in only(wrong(home))[1]
    configure(home, peers=[PEER], listen=["/ip4/0.0.0.0/tcp/0"])
    assert only(wrong(home))[1] == "it takes another port at each start"
    configure(home, http="0.0.0.0:0")
    assert only(wrong(home))[0] == "http"


@pytest.mark.parametrize(
    ("host", "is_elsewhere"),
    [("/dns4/peer.example", True), ("/dnsaddr/peer.example", True), ("/dns4/localhost", False)],
)
def test_a_peer_with_a_name_is_elsewhere_as_well(home: Path, host: str, is_elsewhere: bool) -> None:
    configure(home, peers=[PEER.replace("/ip4/192.0.2.7", host)])
    assert [finding.check for finding in wrong(home)] == ["listening"] * is_elsewhere


# -------------------------------------------------------------------------------------------------------- peers


def test_an_address_of_a_peer_that_is_none_is_a_finding(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(home, peers=["/ip4/192.0.2.7/tcp/4001"])
    assert exit_code(main, ["doctor", "--home", str(home)]) == 1
    assert "'/ip4/192.0.2.7/tcp/4001' is not the address of a peer" in capsys.readouterr().out


def address(number: int = 1) -> PeerAddress:
    read = read_address(PEER.replace("192.0.2.7", f"192.0.2.{number}"))
    assert read is not None
    return read


CONNECTED: Peer = {
    "peer_id": address().peer_id,
    "address": "/ip4/127.0.0.1/tcp/4001",
    "direction": "inbound",
    "rtt_ms": None,
    "score": 0.0,
    "validator": None,
    "height": None,
    "finalized_height": None,
}


def said(
    number: int = 1,
    *,
    ahead_ms: int | None = 0,
    height: int = 7,
    places: tuple[str, ...] = ("/x",),
    oldest_body: int = 1,
) -> Opinion:
    status = Status(bytes(32), height, height, height, 1, oldest_body=oldest_body)
    return Opinion(address(number), "", status, ahead_ms, 20, places)


def running(**changes: Any) -> Case:
    case = Case(Path("home"), genesis_of(4))
    case.status = STATUS_OF_A_NODE | changes  # type: ignore[assignment]
    case.peers = PeerTable(peers=[CONNECTED], banned={})
    return case


def judged(case: Case, *opinions: Opinion) -> list[Finding]:
    return [finding for finding in judge_peers(case, opinions) if not finding.is_fine]


def test_peers_that_find_all_in_order_are_no_finding() -> None:
    assert judged(running(), said(1), said(2, ahead_ms=-300), said(3, ahead_ms=None)) == []


@pytest.mark.parametrize(("ahead_ms", "what"), [(2_000, "2.0 s behind 3 peers"), (-700, "0.7 s ahead of 3 peers")])
def test_a_wrong_clock_is_a_finding(ahead_ms: int, what: str) -> None:
    opinions = [said(number, ahead_ms=ahead_ms + number) for number in range(3)]
    found = only(judged(running(), *opinions))
    assert (found[0], what in found[1], "NTP" in found[2]) == ("clock", True, True)


def test_one_peer_is_no_peers() -> None:
    told = {finding.check: finding.what for finding in judge_peers(running(), [said(1)])}
    assert told["clock"].endswith(" s of 1 peer")


def test_one_peer_whose_clock_is_wrong_is_none() -> None:
    assert judged(running(), said(1), said(2), said(3, ahead_ms=10**9)) == []


def test_a_node_that_nobody_can_dial_is_a_finding() -> None:
    assert only(judged(running(), said(1, places=()), said(2, places=())))[0] == "reachable"
    assert judged(running(), said(1, places=()), said(2)) == []


def test_a_node_that_is_behind_and_does_not_fetch_is_a_finding() -> None:
    assert only(judged(running(), said(height=100)))[0] == "height"
    assert judged(running(syncing=True), said(height=100)) == []


@pytest.mark.parametrize(("height", "how"), [(0, "--join state"), (7, 'mode = "archive"')])
def test_a_node_whose_next_block_every_peer_dropped_is_told_the_way_that_is_left(height: int, how: str) -> None:
    # given one peer more, which has no block either
    case, empty = running(height=height), said(3, height=0)
    dropped = said(1, height=100, oldest_body=50), said(2, height=99, oldest_body=60)
    check, what, remedy = only(judged(case, *dropped, empty))
    assert (check, f"what blocks said from height {height + 1}" in what, how in remedy) == ("height", True, True)
    # given one that still has it, there is another reason
    found = only(judged(case, said(1, height=100, oldest_body=50), said(2, height=99, oldest_body=height + 1)))
    assert "fetches none" in found[1]


def test_a_peer_that_answers_here_and_is_not_connected_is_a_finding() -> None:
    case = running()
    case.peers = PeerTable(peers=[], banned={})
    assert "keeps the other out" in only(judged(case, said()))[1]


def test_a_peer_that_does_not_answer_is_a_finding() -> None:
    found = judged(running(), said(1), Opinion(address(2), FOREIGN))
    assert only(found)[1] == f"/ip4/192.0.2.2/tcp/4001: {FOREIGN}"
    assert {finding.check for finding in judged(running(), Opinion(address(2), "no answer"))} == {"peers"}


async def test_peers_say_where_they_would_dial_a_node(tmp_path: Path) -> None:
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000)
    create_home(tmp_path / "one", genesis, secret(1).seed, replace(LOCAL, listen=[free_address()]))
    async with open_node(load_home(tmp_path / "one")) as one:
        where = f"{one.transport.listen_addresses[0]}"
        create_home(tmp_path / "two", genesis, secret(2).seed, replace(LOCAL, peers=[where]))
        async with open_node(load_home(tmp_path / "two")) as two:
            asked = read_address(where)
            assert asked is not None
            await until(lambda: one.transport.peers.connected())
            whom = two.transport.peer_id
            with trio.fail_after(PATIENCE_S):
                while not (opinion := (await consult([asked], genesis.id, whom))[0]).places:
                    await trio.sleep(0.1)
            assert opinion.trouble == ""
            assert opinion.places == (two.transport.listen_addresses[0].partition("/p2p/")[0],)
            assert opinion.ahead_ms is not None
            assert abs(opinion.ahead_ms) <= opinion.give_ms + 1_000
            (foreign,) = await consult([asked], bytes(32), whom)
            assert foreign.trouble == FOREIGN
            nobody = replace(asked, port=1)
            assert "nobody can connect to it" in (await consult([nobody], genesis.id, whom))[0].trouble
            # And a running home is looked at as a stopped one is.
            case, findings = await trio.to_thread.run_sync(examine, tmp_path / "two", ASKED)
            assert [finding for finding in findings if not finding.is_fine] == []
            assert case.status is not None
            assert {"version", "ports"} <= {finding.check for finding in findings}


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_says_what_is_wrong_by_its_exit_code(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(main, ["doctor", "--home", str(home)]) == 0
    assert "WRONG" not in capsys.readouterr().out
    (home / "key").chmod(0o644)
    assert exit_code(main, ["doctor", "--home", str(home)]) == 1
    said_lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG")]
    assert len(said_lines) == 1
    assert said_lines[0].endswith(f"; run `chmod 600 {home / 'key'}`")


def test_the_command_answers_programs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chmod(home / "key", 0o644)
    assert exit_code(main, ["doctor", "--home", str(home), "--json", "--offline"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["fine"] is False
    assert [row["check"] for row in document["findings"] if not row["fine"]] == ["key"]


def test_on_a_terminal_no_key_no_address_and_no_command_is_broken() -> None:
    address = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWDNHrwdqFTVGg33GxJs1kCymYsN6RLQUWaWwAvoYNAZtv"
    findings = [
        Finding("home", True, "home is whole"),
        Finding(
            "peers", False, f"{address} was not reached", "see to it that its node runs, and that nothing is between"
        ),
    ]
    assert [click.unstyle(line) for line in folded(findings, 40)] == [
        "fine   home   home is whole",
        f"wrong  peers  {address}",
        "              was not reached",
        "              → see to it that its node",
        "              runs, and that nothing is",
        "              between",
    ]
