"""A home is whole or not there, whatever stops its making, and the next try works."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import OperatorError
from chain.disk.storage import Storage
from p2p.local import home as homes
from p2p.local import whole
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, load_home
from p2p.local.keyfile import read_key, write_key
from tests.support.world import genesis_of

GENESIS = genesis_of(1)
SEED = bytes(range(32))


def everything(path: Path) -> set[str]:
    return {str(item.relative_to(path)) for item in path.rglob("*")}


def make(path: Path) -> None:
    create_home(path, GENESIS, SEED, HomeConfig())


def failing_at(number: int, call: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """``call``, but for the ``number``-th time, which fails."""
    count = 0

    def fails(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            raise error
        return call(*arguments, **options)

    return fails


STEPS = [
    (Path, "mkdir", 1),
    (Path, "write_text", 1),
    (Path, "write_text", 2),
    (homes, "write_key", 1),
    (Storage, "create", 1),
    *[(whole, "make_durable", number) for number in range(1, 7)],
    *[(Path, "rename", number) for number in range(1, 6)],
    (Path, "rmdir", 1),
]


@pytest.mark.parametrize(("where", "step", "number"), STEPS)
@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, step: str, number: int, is_there: bool
) -> None:
    home = tmp_path / "some" / "home"
    if is_there:
        home.mkdir(parents=True)
        (home / "notes").write_text("mine", encoding="utf-8")
    before = everything(tmp_path)
    with monkeypatch.context() as broken:
        full = OSError(errno.ENOSPC, "No space left on device")
        broken.setattr(where, step, failing_at(number, getattr(where, step), full))
        with pytest.raises(OperatorError, match=r"cannot be written .*No space left.*try again"):
            make(home)
    assert everything(tmp_path) == before
    make(home)
    assert load_home(home).genesis == GENESIS


@pytest.mark.parametrize(("where", "step", "number"), STEPS)
def test_a_kill_leaves_nothing_that_stops_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, step: str, number: int
) -> None:
    home = tmp_path / "home"
    with monkeypatch.context() as killed:
        killed.setattr(where, step, failing_at(number, getattr(where, step), SystemExit()))
        killed.setattr(whole, "_undo", lambda *_: None)
        with pytest.raises(SystemExit):
            make(home)
    if (home / "key").exists():  # the last step was done
        assert load_home(home).genesis == GENESIS
        with pytest.raises(OperatorError, match="is a home already"):
            make(home)
    else:
        make(home)
    assert load_home(home).secret.seed == SEED
    assert everything(home) == {"key", "config.toml", "genesis.json", "chain.db"}


@pytest.mark.parametrize("name", ["key", "chain.db", "genesis.json"])
def test_what_is_there_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious", encoding="utf-8")
    with pytest.raises(OperatorError, match="is a home already; choose another"):
        make(tmp_path)
    assert everything(tmp_path) == {name}
    assert (tmp_path / name).read_text(encoding="utf-8") == "precious"


def test_two_at_once_make_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with whole.whole_folder(home, ["file"]) as draft:
        with pytest.raises(OperatorError, match="is being made by another process"):
            make(home)
        (draft / "file").write_text("mine", encoding="utf-8")
    assert everything(tmp_path) == {"home", "home/file"}


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", failing_at(1, lambda *_: None, OSError(errno.ENOLCK, "No locks available")))
    make(tmp_path)
    assert load_home(tmp_path).genesis == GENESIS


def test_a_key_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", failing_at(1, lambda _: None, OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            write_key(path, SEED)
    assert not path.exists()
    write_key(path, SEED)
    assert read_key(path).seed == SEED


def test_a_database_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chain.db"
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", failing_at(1, Path.rename, OSError(errno.ENOSPC, "full")))
        with pytest.raises(OperatorError, match="make room"):
            Storage.create(path, GENESIS, None)
    assert everything(tmp_path) == set()
    path.with_name("chain.db.draft").write_bytes(b"left by a kill")
    Storage.create(path, GENESIS, None)
    Storage(path, GENESIS).close()
    assert everything(tmp_path) == {"chain.db"}
