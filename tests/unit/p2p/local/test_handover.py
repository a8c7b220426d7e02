"""A signing state that moves: only one home ever has it, and whatever is wrong with a file is named with its remedy."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

from chain.base.errors import OperatorError
from chain.consensus.restart import Restart
from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from chain.disk import storage
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from p2p.local import handover
from p2p.local.config import HomeConfig
from p2p.local.handover import export_signing, import_signing, renew_database
from p2p.local.home import EXPORTED, Home, create_home, load_home, locked
from tests.support.homes import record, tamper
from tests.support.world import Actor, World, genesis_of, secret

TraceFunction: TypeAlias = Callable[[FrameType, str, Any], Any]
# Where a crash may matter; there and no further down it is tried at each line.
OURS = (handover.__file__, storage.__file__)
SIGNED = SigningState(slot=9, mhg=7, last_mhp=4, last_height=6, last_id=b"\x01" * 32, tag=b"\x02" * 16)
GENESIS = genesis_of(1)


def make_home(path: Path, genesis: Genesis = GENESIS, number: int = 1, *, is_new: bool = False) -> Home:
    """A home of this key, which was in use before unless ``is_new``."""
    create_home(path, genesis, secret(number).seed, HomeConfig(), may_have_signed=not is_new)
    return load_home(path)


def sign(home: Home, signing: SigningState) -> None:
    """Store that the home's node signed up to here."""
    with closing(Storage(home.database, home.genesis)) as database:
        database.commit([Commit(signing=signing)])


def signing_of(home: Home) -> tuple[bool, SigningState | None]:
    """Whether the state was exported, and what a node would start from."""
    with closing(Storage(home.database, home.genesis)) as database:
        return database.is_exported, database.load()[1]


@pytest.fixture
def old(tmp_path: Path) -> Home:
    """The home of a validator that has signed."""
    home = make_home(tmp_path / "old", is_new=True)
    sign(home, SIGNED)
    return home


@pytest.fixture
def new(tmp_path: Path) -> Home:
    """A home of the same key on another machine."""
    return make_home(tmp_path / "new")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "move.json"


def test_it_moves_to_a_home_of_the_same_key(old: Home, new: Home, file: Path) -> None:
    assert export_signing(old, file) == SIGNED
    assert signing_of(old) == (True, None)
    assert import_signing(new, file) == SIGNED
    assert signing_of(new) == (False, SIGNED)


def test_the_file_says_whose_it_is_and_holds_no_secret(old: Home, file: Path) -> None:
    export_signing(old, file)
    document = json.loads(file.read_text(encoding="ascii"))
    assert document["chain_id"] == GENESIS.id.hex()
    assert document["signing"] == {
        "slot": 9, "mhg": 7, "last_mhp": 4, "last_height": 6, "last_id": "01" * 32, "tag": "02" * 16
    }  # fmt: skip
    assert old.secret.seed.hex() not in file.read_text(encoding="ascii")


def test_it_can_come_back(old: Home, new: Home, file: Path, tmp_path: Path) -> None:
    export_signing(old, file)
    import_signing(new, file)
    later = SigningState(slot=20, mhg=12, last_mhp=8, last_height=12)
    sign(new, later)
    export_signing(new, tmp_path / "back.json")
    import_signing(old, tmp_path / "back.json")
    assert signing_of(old) == (False, later)
    assert signing_of(new) == (True, None)


def test_a_lost_file_is_exported_once_more(old: Home, file: Path) -> None:
    export_signing(old, file)
    first = file.read_bytes()
    file.unlink()
    assert export_signing(old, file) == SIGNED
    assert file.read_bytes() == first


def test_importing_twice_in_the_same_home_changes_nothing(old: Home, new: Home, file: Path) -> None:
    export_signing(old, file)
    import_signing(new, file)
    import_signing(new, file)
    assert signing_of(new) == (False, SIGNED)


# ------------------------------------------------------------------------------------------------------ crashes


def test_its_home_has_given_it_up_before_the_file_holds_anything(
    old: Home, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up = Storage.export_signing

    def watched(database: Storage) -> SigningState:
        signing = give_up(database)
        assert file.read_bytes() == b""
        assert signing_of(old) == (True, None)
        return signing

    monkeypatch.setattr(Storage, "export_signing", watched)
    export_signing(old, file)
    assert file.read_bytes() != b""


def copy_of(home: Home, path: Path) -> Home:
    return replace(home, path=Path(shutil.copytree(home.path, path)))


def dies_at(step: int, action: Callable[[], object]) -> bool:
    """Whether a process that does this died before the ``step``-th line of ours that it runs; it ends here if not."""
    pid = os.fork()
    if pid == 0:
        left = step

        def trace(frame: FrameType, event: str, _: object) -> TraceFunction | None:
            nonlocal left
            if frame.f_code.co_filename not in OURS:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os._exit(1)
            return trace

        try:
            sys.settrace(trace)
            action()
        except BaseException:  # noqa: BLE001 - a child must never get back into pytest
            os._exit(2)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1)
    return code == 1


def lying_in(folder: Path) -> dict[str, bytes]:
    """All that a crash left; of SQLite's log, whose salt is random, the size, and nothing of the map of that log."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("-shm")]
    return {
        str(path.relative_to(folder)): bytes(path.stat().st_size) if path.name.endswith("-wal") else path.read_bytes()
        for path in files
    }


def is_whole(file: Path, home: Home) -> bool:
    """Whether the file can be imported where nothing is known of it."""
    try:
        import_signing(home, file)
    except OperatorError:
        return False
    return True


def test_a_crash_at_any_line_of_an_export_leaves_no_two_that_can_sign(old: Home, new: Home, tmp_path: Path) -> None:
    judged: list[dict[str, bytes]] = []
    for step in count():
        folder = tmp_path / str(step)
        here, file = copy_of(old, folder / "old"), folder / "move.json"
        died = dies_at(step, partial(export_signing, here, file))
        if died and lying_in(folder) in judged[-1:]:
            continue  # as a line before
        judged.append(lying_in(folder))
        there = copy_of(new, folder / "new")
        is_exported, signing = signing_of(here)
        assert (is_exported, signing) in ((False, SIGNED), (True, None))
        assert is_exported or not is_whole(file, there)
        assert export_signing(here, folder / "again.json") == SIGNED
        assert import_signing(there, folder / "again.json") == SIGNED
        if not died:
            assert step > 20
            assert len(judged) > 5
            return


def test_a_crash_at_any_line_of_an_import_loses_nothing(old: Home, new: Home, file: Path, tmp_path: Path) -> None:
    export_signing(old, file)
    judged: list[dict[str, bytes]] = []
    for step in count():
        there = copy_of(new, tmp_path / str(step))
        died = dies_at(step, partial(import_signing, there, file))
        if died and lying_in(there.path) in judged[-1:]:
            continue  # as a line before
        judged.append(lying_in(there.path))
        assert signing_of(there) in ((False, None), (False, SIGNED))
        assert import_signing(there, file) == SIGNED
        assert signing_of(there) == (False, SIGNED)
        if not died:
            assert step > 20
            assert len(judged) > 3
            return


def test_a_crash_at_any_line_of_a_new_beginning_leaves_no_older_state(old: Home, tmp_path: Path) -> None:
    later = replace(SIGNED, slot=12)
    with closing(Storage(old.database, GENESIS)) as database:
        database.commit([Commit(signing=later)])
        killed = copy_of(old, tmp_path / "killed")  # what it signed last is in the log alone
    for step in count():
        here = copy_of(killed, tmp_path / str(step))
        died = dies_at(step, partial(renew_database, here, is_sure=True))
        with suppress(OperatorError):  # there is none
            assert signing_of(here) in ((False, later), (False, None))
        renew_database(here, is_sure=True)
        assert signing_of(here) == (False, None)
        if not died:
            assert step > 20
            return


def test_a_home_whose_mark_is_damaged_does_not_sign(old: Home, new: Home, file: Path, tmp_path: Path) -> None:
    export_signing(old, file)
    tamper(old.path, "UPDATE meta SET value = x'00' WHERE key = 'exported'")
    for use in (
        lambda: signing_of(old),
        lambda: export_signing(old, tmp_path / "again"),
        lambda: import_signing(old, file),
    ):
        with pytest.raises(OperatorError, match="is damaged"):
            use()
    assert import_signing(new, file) == SIGNED


def test_a_home_that_lost_its_database_remembers_what_it_gave_away(old: Home, new: Home, file: Path) -> None:
    export_signing(old, file)
    (old.path / DATABASE).unlink()
    renew_database(old, is_sure=True)
    assert signing_of(old) == (True, None)
    assert import_signing(new, file) == SIGNED
    # when it comes back, then the home signs again, and remembers no more than that
    with closing(Storage(new.database, GENESIS)) as database:
        database.commit([Commit(signing=replace(SIGNED, slot=12))])
    file.unlink()
    export_signing(new, file)
    import_signing(old, file)
    assert signing_of(old) == (False, replace(SIGNED, slot=12))
    (old.path / DATABASE).unlink()
    renew_database(old, is_sure=True)
    assert signing_of(old) == (False, None)


def test_a_database_that_is_there_is_kept_aside(old: Home) -> None:
    before = (old.path / DATABASE).read_bytes()
    log = (old.path / DATABASE).with_name("chain.db-wal")
    log.write_bytes(b"what was not folded in")
    aside = renew_database(old, is_sure=True)
    assert aside == old.path / "chain.db.aside-1"
    assert aside.read_bytes() == before
    assert aside.with_name("chain.db.aside-1-wal").read_bytes() == b"what was not folded in"
    assert signing_of(old) == (False, None)

    # and so is the next
    assert renew_database(old, is_sure=True) == old.path / "chain.db.aside-2"
    (old.path / DATABASE).unlink()
    assert renew_database(old, is_sure=True) is None


def test_a_home_without_peers_is_not_begun_anew_unless_told_so(old: Home) -> None:
    with pytest.raises(OperatorError, match="no other home is known to hold this chain"):
        renew_database(old)
    assert signing_of(old) == (False, SIGNED)
    with_peers = replace(old, config=HomeConfig(peers=["/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW"]))
    assert renew_database(with_peers) is not None


def test_a_home_that_cannot_read_what_it_gave_away_says_so(old: Home, file: Path) -> None:
    export_signing(old, file)
    (old.path / DATABASE).unlink()
    (old.path / EXPORTED).write_bytes(b"{")
    with pytest.raises(OperatorError, match="remove it if no other machine signs"):
        renew_database(old, is_sure=True)
    assert not (old.path / DATABASE).exists()


def test_a_disk_that_is_full_leaves_no_file(old: Home, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OperatorError, match="No space left on device"):
            export_signing(old, file)
    assert not file.exists()
    assert signing_of(old) == (True, None)
    assert export_signing(old, file) == SIGNED


def test_nothing_is_given_up_for_a_file_that_cannot_be_made(old: Home, file: Path) -> None:
    file.write_text("in the way", encoding="ascii")
    for unusable in (file, file / "below", file.parent / "no folder" / "move.json"):
        with pytest.raises(OperatorError, match=r"cannot be written .*; export to another file"):
            export_signing(old, unusable)
    assert file.read_text(encoding="ascii") == "in the way"
    assert signing_of(old) == (False, SIGNED)


def test_a_home_that_lost_its_state_exports_none(new: Home, file: Path) -> None:
    with pytest.raises(OperatorError, match=r"was lost; make the new home with `python node\.py init --key FILE`"):
        export_signing(new, file)
    assert not file.exists()
    assert signing_of(new) == (False, None)


def test_what_was_given_up_for_a_restart_does_not_come_back_with_a_file(old: Home, new: Home, file: Path) -> None:
    # given a home that signed a restart before it got what its key had signed elsewhere
    export_signing(old, file)
    with closing(Storage(new.database, GENESIS)) as database:
        database.sign_restart(Restart(bytes(32), 5, bytes(16)).signed(new.secret, GENESIS.id))

    # then it says nothing from there: the restart may come
    with pytest.raises(OperatorError, match="gave up for a restart"):
        import_signing(new, file)
    assert signing_of(new) == (False, None)

    # but from the new signing state, which moves as any other
    later = SigningState(mhg=6, last_height=6, tag=b"\x03" * 16)
    sign(new, later)
    back = file.with_name("back.json")
    export_signing(new, back)
    assert import_signing(new, back) == later


def test_a_home_in_use_is_left_alone(old: Home, new: Home, file: Path) -> None:
    with locked(old.path), pytest.raises(OperatorError, match="in use by another process; stop its node first"):
        export_signing(old, file)
    export_signing(old, file)
    with locked(new.path), pytest.raises(OperatorError, match="in use by another process; stop its node first"):
        import_signing(new, file)
    assert signing_of(new) == (False, None)


# ------------------------------------------------------------------------------------------- what is not imported


def refused(home: Home, file: Path, why: str) -> None:
    """Importing fails with one sentence and changes nothing."""
    before = signing_of(home)
    with pytest.raises(OperatorError, match=why) as caught:
        import_signing(home, file)
    assert "\n" not in str(caught.value)
    assert signing_of(home) == before


def test_a_state_of_another_network_or_key_is_refused(old: Home, file: Path, tmp_path: Path) -> None:
    export_signing(old, file)
    refused(make_home(tmp_path / "abroad", genesis_of(2)), file, "another network; import it into a home of that")
    refused(make_home(tmp_path / "neighbour", number=2), file, "of another key, did:key:.* `python node.py init --key")


@pytest.mark.parametrize(
    "later",
    [SigningState(slot=10, mhg=7), SigningState(slot=9, mhg=8)],
    ids=["a later slot", "a higher block"],
)
def test_a_state_older_than_the_homes_own_is_refused(old: Home, new: Home, file: Path, later: SigningState) -> None:
    export_signing(old, file)
    sign(new, later)
    refused(new, file, "signed blocks after slot 9.*; export again on the machine that signed last")
    export_signing(new, file.with_name("later.json"))
    refused(new, file, "signed blocks after slot 9")  # what it gave away it does not forget


def test_an_export_is_refused_once_the_chain_holds_more_by_the_key(tmp_path: Path, file: Path) -> None:
    # given a state that another machine has imported and signs with, while its old home only follows the chain
    world = World(4, seed=5)
    disk = record(world.hosts[1])
    for number in range(100, 112):
        world.submit(0, [Actor(world.genesis, number).sign(Enrol())])
        world.run(1)
    home = make_home(tmp_path / "old", world.genesis, 2, is_new=True)
    with closing(Storage(home.database, home.genesis)) as database:
        database.commit([replace(commit, signing=None) for commit in disk.commits])
    blocks = [block for _, block in sorted(disk.main.items())]
    earlier, last = [block.header for block in blocks if block.header.proposer == home.secret.public][-2:]
    said = [each.height for block in blocks for each in block.ballot.attestations if each.speaker == home.secret.public]
    assert max(said) > last.height
    # when the old export is imported where the blocks are, then it is refused
    before = make_home(tmp_path / "before", world.genesis, 2, is_new=True)
    sign(before, SigningState(slot=earlier.slot, mhg=earlier.height))
    export_signing(before, file)
    refused(home, file, f"signed blocks after slot {earlier.slot}")
    # and so is one that knows of every block, and not of what was attested since; that of all which was said is not
    with closing(Storage(home.database, home.genesis)) as database:
        for ended in (last.height, max(said) - 1):
            with pytest.raises(OperatorError, match="export again"):
                database.import_signing(home.secret.public, SigningState(slot=last.slot, mhg=ended))
        database.import_signing(home.secret.public, SigningState(slot=last.slot, mhg=max(said)))
    assert signing_of(home) == (False, SigningState(slot=last.slot, mhg=max(said)))


def test_a_state_that_is_behind_its_own_blocks_is_lost(tmp_path: Path, file: Path) -> None:
    # given a database that was put together from two: its blocks hold more by its key than it says it signed
    world = World(4, seed=5)
    disk = record(world.hosts[1])
    for number in range(100, 112):
        world.submit(0, [Actor(world.genesis, number).sign(Enrol())])
        world.run(1)
    home = make_home(tmp_path / "home", world.genesis, 2, is_new=True)
    with closing(Storage(home.database, home.genesis)) as database:
        database.bind(home.secret.public)
        database.commit(disk.commits)
    signing = signing_of(home)[1]
    assert signing is not None
    sign(home, replace(signing, last_height=signing.last_height - 4, last_mhp=signing.last_mhp - 4))

    # then it is as good as none: for a node, and for another machine
    with pytest.raises(OperatorError, match="was lost"):
        export_signing(home, file)
    assert signing_of(home) == (False, None)


def test_a_file_cut_short_is_refused(old: Home, new: Home, file: Path) -> None:
    export_signing(old, file)
    whole = file.read_bytes().rstrip()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        refused(new, file, "is damaged, or not an export .*; copy it again, or export it again")


def other(value: int | str) -> int | str:
    """Another number, or hexadecimal."""
    return value + 1 if isinstance(value, int) else value.replace("0", "3")


def test_a_changed_file_is_refused(old: Home, new: Home, file: Path) -> None:
    export_signing(old, file)
    whole = file.read_bytes()
    for at in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[at] ^= 1
        file.write_bytes(changed)
        with suppress(OperatorError):  # a blank may become another, and A to F may change their case
            assert import_signing(new, file) == SIGNED
    document = json.loads(whole)
    for name, value in document["signing"].items():
        file.write_text(json.dumps({**document, "signing": {**document["signing"], name: other(value)}}))
        refused(make_home(new.path.with_name(f"for {name}")), file, "bad_signature")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "EIP-3076"}, {"version": 3}, {"version": None}, {"chain_id": 7}, {"chain_id": "zz"}, {"did": 7},
        {"did": "did:key:z6Mk"}, {"signing": []}, {"signing": {}}, {"signing": None}, {"signature": ""},
        {"signature": None}, {"signature": "00" * 64}, {"signing": {"slot": 2**64}}, {"signing": {"slot": -1}},
        {"signing": {"slot": True}}, {"signing": {"slot": 9.0}}, {"signing": {"slot": "9"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_of_another_make_is_refused(old: Home, new: Home, file: Path, change: dict[str, Any]) -> None:
    export_signing(old, file)
    document = json.loads(file.read_bytes())
    if isinstance(change.get("signing"), dict) and change["signing"]:
        change = {"signing": {**document["signing"], **change["signing"]}}
    file.write_text(json.dumps({**document, **change}))
    refused(new, file, "is damaged, or not an export")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"7", b"\xff\xfe", b"[" * 4_000, b" " * 5_000, b'{"version": ' + b"9" * 4_080 + b"}"],
    ids=lambda content: repr(content[:9]),
)
def test_what_is_no_export_at_all_is_refused(new: Home, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    refused(new, file, "is damaged, or not an export")


def test_a_file_that_is_not_there_is_named(new: Home, file: Path) -> None:
    refused(new, file, "move.json cannot be read .*; name the file that was exported")
