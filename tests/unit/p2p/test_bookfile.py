"""The peer book on disk."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import trio

from p2p import bookfile as module
from p2p.addresses import PeerAddress, read_address
from p2p.book import MAX_ADDRESSES, MAX_KNOWN, PeerBook
from p2p.bookfile import MAX_FILE_BYTES, BookFile
from tests.unit.p2p.net import peer_id_of, until


def at(number: int, port: int = 4001) -> PeerAddress:
    address = read_address(f"/ip6/2001:db8::{number}/tcp/{port}/p2p/{peer_id_of(number)}")
    assert address is not None
    return address


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == module.__name__]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = BookFile(tmp_path / "peers.json")
    assert file.read() == []  # never written is no damage
    for addresses in ([at(1), at(2)], [at(3)], []):
        file.write(addresses)
        assert file.read() == addresses
    assert [path.name for path in tmp_path.iterdir()] == ["peers.json"]


def test_a_missing_file_is_not_worth_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert BookFile(tmp_path / "peers.json").read() == []
    assert lines(caplog) == []


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"null",
        b'{"format": 2, "addresses": []}',
        b'{"format": 1}',
        b'{"format": 1, "addresses": [1]}',
        b'{"format": 1, "addresses": "x"}',
        b"[" * 100_000,
        b" " * (MAX_FILE_BYTES + 1),
    ],
    ids=["empty", "no-text", "torn", "list", "null", "version", "nothing", "numbers", "text", "deep", "large"],
)
def test_a_damaged_file_is_one_line_and_a_fresh_book(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(damage)
    file = BookFile(path)
    assert file.read() == []
    (line,) = lines(caplog)
    assert "cannot be read" in line
    assert line.endswith("peers are found anew")
    file.write([at(1)])
    assert file.read() == [at(1)]


def test_only_what_would_be_dialled_is_read(tmp_path: Path) -> None:
    texts = ["nonsense", f"/dns4/example.org/tcp/1/p2p/{peer_id_of(1)}", str(at(2))]
    (tmp_path / "peers.json").write_text(json.dumps({"format": 1, "addresses": texts}), encoding="utf-8")
    assert BookFile(tmp_path / "peers.json").read() == [at(2)]


def test_the_file_is_bounded_and_a_full_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    many = [at(1, port) for port in range(1, MAX_KNOWN * MAX_ADDRESSES + 100)]
    BookFile(path).write(many)
    assert path.stat().st_size <= MAX_FILE_BYTES
    assert BookFile(path).read() == many[-MAX_KNOWN * MAX_ADDRESSES :]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = BookFile(tmp_path / "nowhere" / "peers.json")
    file.write([at(1)])
    file.write([at(2)])
    (line,) = lines(caplog)
    assert "cannot be written (No such file or directory)" in line


async def test_the_file_follows_the_book_and_fills_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_EVERY_S", 0.01)
    file, book = BookFile(tmp_path / "peers.json"), PeerBook("", Random(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.keep, book, lambda: None)
        book.reached(at(1), 0.0)
        await until(lambda: file.read() == [at(1)])
        book.reached(at(2), 0.0)
        nursery.cancel_scope.cancel()
    assert file.read() == [at(1), at(2)]  # also what came last
    heir, woken = PeerBook("", Random(1)), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.keep, heir, woken.set)
        await woken.wait()
        nursery.cancel_scope.cancel()
    assert heir.proven() == [at(1), at(2)]
