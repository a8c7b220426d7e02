"""A file as lines of text, however it is packed and encoded.

It is unpacked while it is read, a line at a time, and no further than its bounds: a small file that unpacks to
gigabytes costs neither the memory nor the time for them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

T = TypeVar("T")

# The longest line of the real data has 30 characters.
MAX_LINE = 256
# Of a whole file: four times what a million ratings take.  A line counts as 64 characters at least, so that a file
# of nothing but blank lines ends soon, too.
MAX_TEXT = 128 * 2**20
MIN_LINE = 64
# A zip that comes through a pipe has to be held, for its list of files is at its end.
MAX_PIPED_ZIP = 64 * 2**20

_HEAD = 512  # as far as the mark of a tar
_ZIP = b"PK\x03\x04"
_UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_ENCODINGS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_NOT_RATINGS = {
    b"<": "is HTML or XML, perhaps the page of a download that failed; fetch the file itself",
    b"{": "is JSON; write it as CSV",
    b"[": "is JSON; write it as CSV",
    b"version https://git-lfs": "is a pointer of Git LFS; fetch the file itself with git lfs pull",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it",
    b"7z\xbc\xaf": "is packed with 7-Zip; unpack it",
    b"Rar!": "is packed with RAR; unpack it",
    b"PAR1": "is a Parquet file; write it as CSV",
    b"SQLite format 3": "is an SQLite database; write its table as CSV",
}
_NO_TEXT = re.compile(r"[\0-\x08\x0b-\x1f\x7f\ufffd]")


class Unreadable(Exception):
    """What is wrong with a whole file: the end of a sentence that begins with its name."""


def text_lines(path: Path) -> Generator[str, None, None]:
    """The lines of a file, or of the standard input for ``-``, without their ends.

    Packed are gzip (of any number of members), bzip2, xz, and zip with one file in it; text is UTF-8, or UTF-16
    with a byte order mark; a line ends with LF, CR or both.  Raises :class:`Unreadable`.
    """
    size = 0
    with ExitStack() as stack:
        try:
            text = _text(_opened(path, stack))
            while line := text.readline(MAX_LINE + 2):
                size += max(MIN_LINE, len(line))
                if size > MAX_TEXT:
                    raise Unreadable("unpacks to more text than a million ratings take; cut it to its first lines")
                yield line.removesuffix("\n")
        except FileNotFoundError as error:
            raise Unreadable("does not exist; give a file of ratings, or - for the standard input") from error
        except _FAULTS as error:
            why = getattr(error, "strerror", None) or str(error)
            raise Unreadable(f"cannot be read: {why}; give a file of ratings that is whole") from error


def check_line(line: str) -> None:
    """Raises :class:`ValueError` where this is no line of text, or too long."""
    if found := _NO_TEXT.search(line):
        raise ValueError(f"{found[0]!a} is not text; ratings are text in UTF-8, or in UTF-16 with a byte order mark")
    if len(line) > MAX_LINE:
        raise ValueError(f"longer than {MAX_LINE} characters: {line[:30]!a}…")


# What the libraries raise for files that are cut, damaged, or not what they begin like.
_FAULTS = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class _Again(io.RawIOBase):
    """A stream whose beginning was read, from the beginning."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _opened(path: Path, stack: ExitStack) -> tuple[bytes, BinaryIO]:
    """The unpacked stream, and how it begins."""
    file = stack.enter_context(os.fdopen(0, "rb", closefd=False) if path == Path("-") else path.open("rb"))
    head, stream = _peeked(file)
    if unpacker := _among(_UNPACKERS, head):
        unpacked = unpacker(stream)
    elif head.startswith(_ZIP):
        unpacked = _only_file(stack.enter_context(zipfile.ZipFile(_seekable(file, stream))))
    else:
        unpacked = None
    if unpacked is not None:
        head, stream = _peeked(stack.enter_context(unpacked))
        if _among(_UNPACKERS, head) or head.startswith(_ZIP):
            raise Unreadable("is packed twice; unpack it once")
    if head[257:262] == b"ustar":
        raise Unreadable("is a tar archive; unpack it, and give the file in it that holds the ratings")
    return head, stream


def _peeked(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    head = stream.read(_HEAD)
    return head, io.BufferedReader(_Again(head, stream))


def _seekable(raw: BinaryIO, stream: BinaryIO) -> BinaryIO:
    if raw.seekable():
        raw.seek(0)
        return raw
    held = stream.read(MAX_PIPED_ZIP + 1)
    if len(held) > MAX_PIPED_ZIP:
        raise Unreadable(f"is a zip of more than {MAX_PIPED_ZIP // 2**20} MiB through a pipe; give its path")
    return io.BytesIO(held)


def _only_file(archive: zipfile.ZipFile) -> Any:
    files = [item for item in archive.infolist() if not item.is_dir() and not item.filename.startswith("__MACOSX/")]
    if any(item.filename == "[Content_Types].xml" for item in files):
        raise Unreadable("is a spreadsheet; save it as CSV")
    if len(files) != 1:
        raise Unreadable(f"is a zip of {len(files)} files; unpack it, and give the one that holds the ratings")
    return archive.open(files[0])


def _text(opened: tuple[bytes, BinaryIO]) -> io.TextIOWrapper:
    head, stream = opened
    encoding = _among(_ENCODINGS, head) or "utf-8"
    if fault := _among(_NOT_RATINGS, head.removeprefix(b"\xef\xbb\xbf").lstrip()):
        raise Unreadable(fault)
    # What cannot be decoded becomes U+FFFD, so that check_line can tell the line.
    return io.TextIOWrapper(stream, encoding, errors="replace")


def _among(table: Mapping[bytes, T], head: bytes) -> T | None:
    return next((found for start, found in table.items() if head.startswith(start)), None)
