"""A home on disk: made, read again, and every mistake in it named with its remedy."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey
from chain.disk.database import DATABASE
from node import main
from p2p.local.config import HomeConfig
from p2p.local.examine import examine
from p2p.local.home import EXPORTED, Home, begin_home, create_home, is_begun_home, load_home, peer_id_of
from p2p.local.keyfile import read_key, write_key
from p2p.local.passphrase import ASKED
from tests.support.commands import exit_code
from tests.support.world import genesis_of

SEED = bytes(range(32))
CONFIG = HomeConfig(
    listen=["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/4001"],
    external_address="/ip4/203.0.113.7/tcp/4001",
    peers=["/dns4/bücher.example/tcp/1/p2p/x"],
    seeds=["/dnsaddr/bücher.example/p2p/x"],
    http="[::1]:0",
    max_peers=7,
    ban_s=60,
    allow_partitions=True,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(tmp_path / "home", genesis_of(2), SEED, CONFIG)
    return tmp_path / "home"


def test_a_home_is_read_as_it_was_made(home: Path) -> None:
    loaded = load_home(home)
    assert (loaded.path, loaded.genesis, loaded.config) == (home, genesis_of(2), CONFIG)
    assert loaded.secret.public == SecretKey(SEED).public
    assert loaded.database == home / DATABASE
    assert (home / DATABASE).is_file()


def test_only_the_owner_can_read_the_key(home: Path) -> None:
    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
    assert (home / "key").read_text(encoding="ascii") == SEED.hex() + "\n"


def test_a_home_is_never_made_over_another(home: Path) -> None:
    with pytest.raises(OperatorError, match="is a home already; choose another"):
        create_home(home, genesis_of(1), bytes(32), HomeConfig())
    assert load_home(home).secret.public == SecretKey(SEED).public


def test_a_key_waits_for_its_genesis(tmp_path: Path) -> None:
    path = tmp_path / "new" / "home"
    assert not is_begun_home(path)
    assert begin_home(path, None, SEED).seed == SEED
    assert is_begun_home(path)
    assert begin_home(path, None, bytes(32)).seed == SEED  # the key that is there stays
    assert begin_home(path, SEED, bytes(32)).seed == SEED
    with pytest.raises(OperatorError, match="has another key already; leave out --key, or name another folder"):
        begin_home(path, bytes(32), SEED)
    with pytest.raises(OperatorError, match="is a home already"):
        create_home(path, genesis_of(1), bytes(32), HomeConfig())
    create_home(path, genesis_of(1), SEED, HomeConfig())
    assert load_home(path).secret.seed == SEED
    assert not is_begun_home(path)
    with pytest.raises(OperatorError, match="is the home of a network already; join with another folder"):
        begin_home(path, None, SEED)


def test_a_key_whose_signing_state_left_waits_for_no_genesis(tmp_path: Path) -> None:
    write_key(tmp_path / "key", SEED)
    (tmp_path / EXPORTED).write_text("{}", encoding="ascii")
    assert not is_begun_home(tmp_path)


def test_a_key_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OperatorError, match=r"file cannot be written .*; name another folder"):
        begin_home(tmp_path / "file", None, SEED)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OperatorError, match="cannot be written"):
        create_home(tmp_path / "file" / "home", genesis_of(1), SEED, HomeConfig())


def test_the_peer_id_is_the_one_that_libp2p_computes(home: Path) -> None:
    for seed in (SEED, bytes(32), b"\xff" * 32):
        derived = Home(home, genesis_of(2), SecretKey(seed), CONFIG).network_seed
        assert peer_id_of(seed) == str(ID.from_pubkey(create_new_key_pair(derived).public_key))
        assert derived != seed  # another key than the one that signs blocks


@pytest.mark.parametrize("missing", ["key", "config.toml", "genesis.json"])
def test_a_missing_file_is_named_with_its_remedy(home: Path, missing: str) -> None:
    (home / missing).unlink()
    with pytest.raises(OperatorError, match=rf"{missing} is missing; (name another|restore it|copy the)"):
        load_home(home)


def test_a_missing_home_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"does not exist; .* make one: `python node\.py init -h` says how"):
        load_home(tmp_path / "nowhere")
    with pytest.raises(OperatorError, match=r"is not a home; .* make one: `python node\.py init -h` says how"):
        load_home(tmp_path)


def test_a_testnets_folder_names_the_homes_in_it(home: Path, tmp_path: Path) -> None:
    net = tmp_path / "net"
    for name in ("node1", "node0"):
        shutil.copytree(home, net / name)
    shutil.copy(home / "genesis.json", net)
    with pytest.raises(OperatorError, match=r"holds some: node0, node1; name one of them, as .*/net/node0$"):
        load_home(net)
    _, (finding,) = examine(net, ASKED)
    assert "node0, node1" in finding.what + finding.remedy


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_can_reach_is_refused(home: Path, mode: int) -> None:
    (home / "key").chmod(mode)
    with pytest.raises(OperatorError, match=r"can be read by others .* run `chmod 600 "):
        read_key(home / "key")


@pytest.mark.parametrize("content", [b"", b"abc", SEED.hex().encode()[:-2], b"zz" * 32, b"00" * 33, b"\xff\xfe"])
def test_a_damaged_key_is_refused(home: Path, content: bytes) -> None:
    (home / "key").write_bytes(content)
    with pytest.raises(OperatorError, match=r"is not a key .*; name another, or restore it from your backup"):
        read_key(home / "key")


def test_a_key_that_is_a_folder_is_refused(home: Path) -> None:
    (home / "key").unlink()
    (home / "key").mkdir()
    with pytest.raises(OperatorError, match="restore it from your backup"):
        read_key(home / "key")


def test_a_peer_whose_address_is_none_is_said_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    named = ["--new-network", "village", "--peer", "/ip4/192.0.2.7/tcp/4001"]
    assert exit_code(main, ["init", "--home", str(home), *named]) == 2
    assert "is not the address of a peer" in capsys.readouterr().err
    assert not home.exists()
