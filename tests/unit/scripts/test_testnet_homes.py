"""A testnet's home: made once, resumed as it is."""

from __future__ import annotations

import errno
import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import OperatorError
from p2p.local.home import create_home, load_home
from p2p.local.whole import DRAFT
from scripts.replay import node_seed
from scripts.testnet_parts.homes import free_ports, open_testnet, shape_of
from scripts.testnet_parts.shape import Wanted

SMALL = Wanted(nodes=2, observers=1, slot_ms=300)
ANY = Wanted(None, None, None)


def test_a_new_testnet_has_a_home_for_every_node(tmp_path: Path) -> None:
    made = open_testnet(tmp_path / "net", SMALL)
    assert made.shape.names == ["node0", "node1", "node2"]
    assert not made.is_resumed
    homes = [load_home(made.path / name) for name in made.shape.names]
    assert {home.genesis.id for home in homes} == {made.genesis.id}
    assert [home.secret.public for home in homes[:2]] == [key for key, _ in made.genesis.validators]
    assert homes[2].secret.seed == node_seed(made.shape.seed, 2)
    addresses = {peer for home in homes for peer in home.config.peers}
    assert len(addresses) == 3
    assert all(len(home.config.peers) == 2 for home in homes)
    assert stat.S_IMODE((made.path / "testnet.json").stat().st_mode) == 0o600


def test_a_home_is_resumed_with_its_keys_and_genesis(tmp_path: Path) -> None:
    made = open_testnet(tmp_path, SMALL)
    for wanted in (ANY, SMALL, Wanted(2, None, None)):
        again = open_testnet(tmp_path, wanted)
        assert again.is_resumed
        assert (again.genesis.id, again.shape) == (made.genesis.id, made.shape)


def test_a_folder_is_named_without_detours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = open_testnet(tmp_path / "net", SMALL)
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    assert open_testnet(Path("../net"), ANY).path == made.path


def test_a_story_has_a_short_day_and_an_observer_that_is_to_become_a_validator(tmp_path: Path) -> None:
    made = open_testnet(tmp_path, Wanted(4, None, None, "municipal"))
    assert made.shape.names == ["node0", "node1", "node2", "node3", "node4"]
    assert (made.genesis.policy.name, made.genesis.policy.slots(20, made.shape.slot_ms)) == ("municipal", 40)
    assert len(made.genesis.validators) == 4


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(4, None, None), "made with --nodes 2, not 4"),
        (Wanted(None, 0, None), "made with --observers 1, not 0"),
        (Wanted(None, None, 1_000), "made with --slot-ms 300, not 1000"),
    ],
)
def test_a_home_of_another_shape_is_refused(tmp_path: Path, wanted: Wanted, says: str) -> None:
    open_testnet(tmp_path, SMALL)
    with pytest.raises(OperatorError, match=says):
        open_testnet(tmp_path, wanted)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious", encoding="ascii")
    with pytest.raises(OperatorError, match="not the home of a testnet and not empty"):
        open_testnet(tmp_path, ANY)
    with pytest.raises(OperatorError, match="cannot be used"):
        open_testnet(tmp_path / "thesis.txt", ANY)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "nodes": 1, "observers": 0, "slot_ms": 1, "seed": "x"}']
)
def test_a_damaged_description_is_refused(tmp_path: Path, text: str) -> None:
    open_testnet(tmp_path, SMALL)
    (tmp_path / "testnet.json").write_text(text, encoding="ascii")
    with pytest.raises(OperatorError, match=r"testnet\.json cannot be read"):
        open_testnet(tmp_path, ANY)


def test_a_folder_without_a_testnet_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(OperatorError, match=f"{folder} holds no testnet; name the folder that it said"):
            shape_of(folder)


def test_a_description_of_another_version_is_refused(tmp_path: Path) -> None:
    open_testnet(tmp_path, SMALL)
    path = tmp_path / "testnet.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="ascii")), "format": 2}), encoding="ascii")
    with pytest.raises(OperatorError, match="another version"):
        open_testnet(tmp_path, ANY)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    made = open_testnet(tmp_path, SMALL)
    port = int(load_home(made.path / "node1").config.listen[0].rpartition("/")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(OperatorError, match=f"port {port} of node1 is taken"):
            open_testnet(tmp_path, ANY)


def test_free_ports_are_all_different_and_none_that_the_system_gives_to_others_meanwhile() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < 32_768  # net.ipv4.ip_local_port_range


def test_a_port_that_is_taken_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken, free) = free_ports(2)
    monkeypatch.setattr("scripts.testnet_parts.homes.NAMED_PORTS", (taken, free))
    with socket.create_server(("127.0.0.1", taken)):
        assert free_ports(1) == [free]


def test_a_testnet_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "net"
    made: list[str] = []

    def create_but_for_the_last(path: Path, *arguments: Any) -> None:
        made.append(path.name)
        if path.name == "node2":
            raise OSError(errno.ENOSPC, "No space left on device")
        create_home(path, *arguments)

    with monkeypatch.context() as broken:
        broken.setattr("scripts.testnet_parts.homes.create_home", create_but_for_the_last)
        with pytest.raises(OperatorError, match="No space left on device"):
            open_testnet(home, SMALL)
    assert made == ["node0", "node1", "node2"]
    assert not home.exists()
    (home / DRAFT / "node0").mkdir(parents=True)  # as a kill leaves it
    assert not open_testnet(home, SMALL).is_resumed
    assert open_testnet(home, ANY).is_resumed
