"""A restart, signed home by home: what is counted, what is remembered, and what a home refuses to sign."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import OperatorError
from chain.consensus.restart import Restart
from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from p2p.local.at_rest import _told
from p2p.local.config import HomeConfig
from p2p.local.handover import export_signing
from p2p.local.home import Home, create_home, load_home
from p2p.local.restarting import sign_restart
from tests.support.forge import Forge
from tests.support.homes import RecordingDisk, record
from tests.support.world import Actor, World, genesis_of, secret

SALT = b"s" * 16


@pytest.fixture(scope="module")
def disks() -> list[RecordingDisk]:
    """What four validators wrote: two went on alone for a while in the end, so nothing new was final."""
    world = World(4, seed=5)
    disks = [record(host) for host in world.hosts]
    for number in range(24):
        world.submit(0, [Actor(world.genesis, 1_000 + number).sign(Enrol())])
        world.run(1)
        if number == 11:
            world.hosts[2].crash()
            world.hosts[3].crash()
    assert world.hosts[0].height - world.hosts[0].final_height > 4
    return disks


def home_of(folder: Path, disks: list[RecordingDisk], number: int, key: int | None = None) -> Home:
    """The home of a validator, or of another key with the same blocks."""
    genesis = disks[number].genesis
    path = folder / f"node{number}-{number if key is None else key}"
    create_home(path, genesis, secret((number if key is None else key) + 1).seed, HomeConfig())
    home = load_home(path)
    with closing(Storage(home.database, genesis)) as storage:
        storage.bind(home.secret.public)
        storage.commit(disks[number].commits)
    return home


@pytest.fixture
def homes(tmp_path: Path, disks: list[RecordingDisk]) -> list[Home]:
    return [home_of(tmp_path, disks, number) for number in range(4)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "restart.json"


def kept(home: Home) -> tuple[SigningState | None, Restart | None]:
    """What a node would start from."""
    with closing(Storage(home.database, home.genesis)) as storage:
        return storage.load()[1], storage.restart


def head(home: Home) -> tuple[bytes, int]:
    with closing(Storage(home.database, home.genesis)) as storage:
        header = storage.load()[0].head.header
    return header.id, header.height


def write(file: Path, genesis: Genesis, restart: Restart, **changes: Any) -> None:
    """A file by hand."""
    document = {
        "format": "goodfaith restart",
        "version": 1,
        "chain_id": genesis.id.hex(),
        "tip": restart.tip.hex(),
        "height": restart.height,
        "salt": restart.salt.hex(),
        "signatures": {},
    }
    file.write_text(json.dumps({**document, **changes}), encoding="ascii")


def test_three_of_four_agree(homes: list[Home], file: Path) -> None:
    first = sign_restart(homes[0], file)
    assert (first.restart.tip, first.restart.height) == head(homes[0])
    assert (first.count, first.is_agreed, first.left) == ("1 of the 3 needed (of 4)", False, 0)
    second = sign_restart(homes[1], file)
    assert (second.count, second.is_agreed) == ("2 of the 3 needed (of 4)", False)
    third = sign_restart(homes[2], file, blind=first.restart.height)
    assert (third.count, third.is_agreed) == ("3 of the 3 needed (of 4)", True)
    assert third.missing == [homes[3].secret.public]

    # each gave up what it signed last, and remembers what it signed now
    for home, signed in zip(homes[:3], (first, second, third), strict=True):
        assert kept(home) == (None, signed.restart)
    assert kept(homes[3])[0] is not None


def test_a_restart_that_is_agreed_needs_one_that_leads(
    homes: list[Home], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    height = sign_restart(homes[0], file).restart.height
    monkeypatch.setattr(
        "chain.consensus.electorate.Electorate.may_lead", lambda _self, key: key != homes[2].secret.public
    )
    sign_restart(homes[1], file)
    last = sign_restart(homes[2], file, blind=height)
    assert (last.is_agreed, last.may_lead) == (True, False)
    said = _told(homes[2].path, file, last)
    assert "leads no slot" in said
    assert "once more if it did" in said
    assert sign_restart(homes[1], file).may_lead


def test_signing_twice_is_signing_once_and_a_lost_file_is_written_again(homes: list[Home], file: Path) -> None:
    first = sign_restart(homes[0], file)
    text = file.read_text(encoding="ascii")
    assert sign_restart(homes[0], file) == first
    file.unlink()
    assert sign_restart(homes[0], file) == first
    assert file.read_text(encoding="ascii") == text


def test_signatures_of_two_copies_come_together(homes: list[Home], file: Path, tmp_path: Path) -> None:
    height = sign_restart(homes[0], file).restart.height
    copy = tmp_path / "copy.json"
    copy.write_bytes(file.read_bytes())
    sign_restart(homes[1], file)
    sign_restart(homes[2], copy, blind=height)
    sign_restart(homes[1], copy)
    assert len(sign_restart(homes[1], file).signers) == 3


def test_who_spoke_from_it_keeps_what_it_signed_since(homes: list[Home], file: Path) -> None:
    tag = sign_restart(homes[0], file).restart.tag(homes[0].secret.public)
    signing = SigningState(slot=90, mhg=80, last_height=80, tag=tag)
    with closing(Storage(homes[0].database, homes[0].genesis)) as storage:
        storage.commit([Commit(signing=signing)])
    sign_restart(homes[0], file)
    assert kept(homes[0])[0] == signing


def test_what_is_lost_takes_the_restart_along(homes: list[Home], file: Path) -> None:
    sign_restart(homes[0], file)
    with closing(Storage(homes[0].database, homes[0].genesis)) as storage:
        storage.commit([Commit(is_signing_lost=True)])
    assert kept(homes[0]) == (None, None)


# ---------------------------------------------------------------------------------------------------- refused


def refused(home: Home, file: Path, says: str, **options: Any) -> None:
    """It is one sentence, and nothing is signed."""
    before = kept(home), file.read_bytes() if file.exists() else None
    with pytest.raises(OperatorError, match=says):
        sign_restart(home, file, **options)
    assert (kept(home), file.read_bytes() if file.exists() else None) == before


def test_another_restart_that_may_still_come(homes: list[Home], file: Path, tmp_path: Path) -> None:
    sign_restart(homes[0], file)
    other = tmp_path / "other.json"
    write(other, homes[0].genesis, Restart(*head(homes[0]), SALT))
    refused(homes[0], other, "add --again")
    assert kept(homes[0])[1] is not None
    sign_restart(homes[0], other, again=True)
    restart = kept(homes[0])[1]
    assert restart is not None
    assert restart.salt == SALT
    refused(homes[0], file, "signed with this key already", again=True)


def test_a_block_that_it_does_not_know(homes: list[Home], file: Path) -> None:
    tip, height = head(homes[0])
    write(file, homes[2].genesis, Restart(tip, height, SALT))
    for blind in (None, height - 1, height + 1):
        refused(homes[2], file, f"add --blind {height}: .* above that height is left out", blind=blind)
    assert sign_restart(homes[2], file, blind=height).count == "1 of the 3 needed (of 4)"


def test_what_would_undo_what_is_final(homes: list[Home], disks: list[RecordingDisk], file: Path) -> None:
    below = disks[0].main[disks[0].finalized - 1]
    write(file, homes[0].genesis, Restart(below.id, below.header.height, SALT))
    refused(homes[0], file, "it would undo that")
    refused(homes[0], file, "it would undo that", blind=below.header.height, again=True)


def test_what_leaves_out_that_it_voted_for(homes: list[Home], disks: list[RecordingDisk], file: Path) -> None:
    final = disks[0].main[disks[0].finalized]
    with closing(Storage(homes[0].database, homes[0].genesis)) as storage:
        signing = storage.load()[1]
        assert signing is not None
        storage.commit([Commit(signing=replace(signing, last_mhp=final.header.height + 3))])
    write(file, homes[0].genesis, Restart(final.id, final.header.height, SALT))
    refused(homes[0], file, "may be final elsewhere")


def test_a_block_that_proves_invalid(tmp_path: Path, file: Path) -> None:
    # given a home with a block beside its head that it never executed
    genesis = genesis_of(4)
    forge = Forge(genesis)
    one = forge.block()
    good, bad = forge.block(one, slot=2), forge.block(one, slot=3, state_root=bytes(32))
    create_home(tmp_path / "home", genesis, secret(1).seed, HomeConfig())
    home = load_home(tmp_path / "home")
    with closing(Storage(home.database, genesis)) as storage:
        storage.commit([Commit(adopted=(one, good), side=(bad,))])

    write(file, genesis, Restart(bad.id, 2, SALT))
    refused(home, file, "proves invalid .*wrong_state_root")
    write(file, genesis, Restart(good.id, 2, SALT))
    assert sign_restart(home, file).left == 0


def test_a_height_that_its_block_does_not_have(homes: list[Home], file: Path) -> None:
    tip, height = head(homes[0])
    write(file, homes[0].genesis, Restart(tip, height + 1, SALT))
    refused(homes[0], file, "another height")


@pytest.mark.parametrize("is_begun", [False, True])
def test_nothing_goes_on_from_the_genesis(tmp_path: Path, file: Path, is_begun: bool) -> None:
    genesis = genesis_of(4)
    create_home(tmp_path / "home", genesis, secret(1).seed, HomeConfig(), may_have_signed=True)
    home = load_home(tmp_path / "home")
    if is_begun:
        write(file, genesis, Restart(genesis.id, 0, SALT))
    for blind in (None, 0):
        refused(home, file, "begin in the home with the largest height, or .* found another network", blind=blind)


def test_a_home_that_lost_its_database_does_not_sign_again(
    homes: list[Home], disks: list[RecordingDisk], file: Path, tmp_path: Path
) -> None:
    sign_restart(homes[0], file)
    again = home_of(tmp_path / "again", disks, 0)
    refused(again, file, "comes back by itself")


def test_who_is_no_validator(disks: list[RecordingDisk], file: Path, tmp_path: Path) -> None:
    refused(home_of(tmp_path, disks, 0, key=50), file, "not a validator's")


def test_whose_signing_state_is_elsewhere(homes: list[Home], file: Path, tmp_path: Path) -> None:
    export_signing(homes[0], tmp_path / "move.json")
    refused(homes[0], file, "where it is now")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda document: document | {"chain_id": "ab" * 32}, "another network"),
        (lambda document: document | {"version": 2}, "is damaged, or not a restart"),
        (lambda document: document | {"tip": "ab"}, "is damaged, or not a restart"),
        (lambda document: document | {"height": -1}, "is damaged, or not a restart"),
        (lambda document: document | {"height": document["height"] - 1}, "not signed by whom it names"),
        (lambda document: document | {"salt": "cd" * 16}, "not signed by whom it names"),
        (lambda document: document | {"signatures": []}, "is damaged, or not a restart"),
        (lambda document: document | {"signatures": {"did:key:z6Mk": "00"}}, "is damaged, or not a restart"),
        (lambda _document: [], "is damaged, or not a restart"),
        (lambda _document: "x" * 200_000, "is damaged, or not a restart"),
    ],
)
def test_a_file_that_is_not_what_was_written(
    homes: list[Home], file: Path, change: Callable[[Any], Any], says: str
) -> None:
    sign_restart(homes[0], file)
    file.write_text(json.dumps(change(json.loads(file.read_text(encoding="ascii")))), encoding="ascii")
    refused(homes[1], file, says)


def test_a_file_that_cannot_be_written(homes: list[Home], tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="has signed: sign once more"):
        sign_restart(homes[0], tmp_path / "nowhere" / "restart.json")
    restart = kept(homes[0])[1]
    assert sign_restart(homes[0], tmp_path / "restart.json").restart == restart
