"""The shapes in which ratings come: each is taken for what it says, or refused with what it says and what is wanted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest

from chain.base.errors import OperatorError
from chain.content.policy import RatingCategory
from chain.content.policyfile import shipped_policy
from scripts import ratings_file
from scripts.ratings_file import Rating, read_file, unpack
from scripts.ratings_file.fields import MAX_MEMBER, read_member, read_points, read_time

LINES = b"6,2,4,1289241911.72836\n6,5,2,1289241941.53378\n1,6,-10,1289243140\n"
RATINGS = [Rating(6, 2, 4), Rating(6, 5, 2), Rating(1, 6, -10)]
KNOWN = b"FROM_NODE,TO_NODE,TRUST_INDEX,TIME_SINCE_EPOCH\n"
NO_TIMES = "has no times: its lines are taken in their order"
SORTED = "is not in the order of its times: sorted, lines of one time in their order"
# What nobody who writes down ratings packs on purpose.
BOMBS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.fixture
def category() -> RatingCategory:
    (only,) = shipped_policy("marketplace").ratings.values()
    return only


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("ratings.csv",):
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("ratings.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def quoted(content: bytes) -> bytes:
    return b'"' + content.strip().replace(b",", b'","').replace(b"\n", b'"\n"') + b'"\n'


def numbered(content: bytes) -> bytes:
    return b"".join(b"%d,%s\n" % row for row in enumerate(content.split()))


TAKEN: dict[str, bytes] = {
    "as SNAP has it": LINES,
    "its header": KNOWN + LINES,
    "its header in lower case": KNOWN.lower() + LINES,
    "its header in quotes": quoted(KNOWN) + LINES,
    "another header": b"v1,v2,weight,time\n" + LINES,
    "a header with blanks": b"Source, Target, Rating, Time Stamp\n" + LINES,
    "a header with #": b"#source,#target,#rating,#timestamp\n" + LINES,
    "a header that names another order": b"time,to,from,rating\n"
    b"1289241911.72836,2,6,4\n1289241941.53378,5,6,2\n1289243140,6,1,-10\n",
    "an index column": b",source,target,rating,time\n" + numbered(LINES),
    "semicolons": LINES.replace(b",", b";"),
    "tabs": LINES.replace(b",", b"\t"),
    "an index column between tabs": b"\tsource\ttarget\trating\ttime\n" + numbered(LINES).replace(b",", b"\t"),
    "bars": LINES.replace(b",", b"|"),
    "blanks": LINES.replace(b",", b" "),
    "columns filled with blanks": LINES.replace(b",", b"   "),
    "a blank after each comma": LINES.replace(b",", b", "),
    "a mark of UTF-8": b"\xef\xbb\xbf" + KNOWN + LINES,
    "UTF-16": (KNOWN + LINES).decode().encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + LINES.decode().encode("utf-16-be"),
    "CRLF": LINES.replace(b"\n", b"\r\n"),
    "CR": LINES.replace(b"\n", b"\r"),
    "no end of the last line": LINES.rstrip(),
    "quotes": quoted(LINES),
    "quotes around blanks": quoted(LINES).replace(b",", b", "),
    "comments": b"# of today\n% asym signed\n" + LINES + b"# the end\n",
    "blank lines": b"\n\n" + LINES.replace(b"\n", b"  \n\n"),
    "empty rows of a spreadsheet": LINES + b",,,\n,,,\n",
    "a separator at the end": LINES.replace(b"\n", b",\n"),
    "a separator at the end, of the header too": (KNOWN + LINES).replace(b"\n", b",\n"),
    "4.0 and 2.": LINES.replace(b",4,", b",4.0,").replace(b",2,1", b",2.,1"),
    "+4": LINES.replace(b",4,", b",+4,"),
    "a minus sign": LINES.replace(b"-10", "−10".encode()),
    "numbers of members as 6.0": LINES.replace(b"6,2", b"6.0,2.0"),
    "milliseconds": LINES.replace(b"1289241911.72836", b"1289241911728"),
    "an exponent": LINES.replace(b"1289241911.72836", b"1.28924191172836e9"),
    "ISO 8601": LINES.replace(b"1289241911.72836", b"2010-11-08T18:45:11Z"),
    "ISO 8601 with a blank": LINES.replace(b"1289241911.72836", b"2010-11-08 18:45:11"),
    "gzip": gzip.compress(LINES),
    "gzip of two members": gzip.compress(LINES[:30]) + gzip.compress(LINES[30:]),
    "bzip2": bz2.compress(LINES),
    "xz": lzma.compress(LINES),
    "zip": zipped(LINES),
    "zip as a Mac makes it": zipped(LINES, "__MACOSX/._ratings.csv", "ratings.csv"),
    "zip with a mark of UTF-8": zipped(b"\xef\xbb\xbf" + LINES),
}

NOTED: dict[str, tuple[bytes, list[Rating], list[str]]] = {
    "unsorted": (b"1,6,-10,3\n6,2,4,1\n6,5,2,2\n", RATINGS, [SORTED]),
    "unsorted, with lines of one time": (b"1,6,-10,2\n6,2,4,1\n6,5,2,1\n", RATINGS, [SORTED]),
    "no times": (b"6,2,4\r\n6,5,2\r\n1,6,-10\r\n", RATINGS, [NO_TIMES]),
    "no times, separators at the end": (b"6,2,4,\n6,5,2,\n1,6,-10,\n", RATINGS, [NO_TIMES]),
    "a header of other words": (
        b"von,nach,wert,zeit\n" + LINES,
        RATINGS,
        ["has the header 'von,nach,wert,zeit', taken as rater, subject, rating, time"],
    ),
    "more columns": (
        b"source,target,rating,comment\n6,2,4,fine\n6,5,2,\n1,6,-10,bad\n",
        RATINGS,
        ["has columns that are left out: 'comment'", NO_TIMES],
    ),
    "the form of Epinions": (
        b"# Directed graph: epinions\n# Nodes: 3 Edges: 2\n# FromNodeId\tToNodeId\tSign\n0\t1\t-1\n1\t128552\t1\n",
        [Rating(0, 1, -1), Rating(1, 128552, 1)],
        ["knows only 1 and -1: each counts as one point of 10", NO_TIMES],
    ),
    "the form of KONECT": (
        b"% asym signed\n% 2 3 3\n1 2 -1 979081200\n3 4 1\t979081300\n",
        [Rating(1, 2, -1), Rating(3, 4, 1)],
        ["knows only 1 and -1: each counts as one point of 10"],
    ),
    "a comment that names another order": (
        b"# ToNodeId FromNodeId Sign\n1 0 5\n",
        [Rating(0, 1, 5)],
        [NO_TIMES],
    ),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "holds no ratings; its lines should read rater,subject,rating,time"),
    "a header alone": (KNOWN, "holds no ratings"),
    "comments alone": (b"# nothing\n\n", "holds no ratings"),
    "blocks": (b"SRC:AnnA\nTGT:BobB\n", "line 1: 'SRC:AnnA' has no three fields, separated by commas"),
    "two columns": (b"6,2\n", "line 1: '6,2' has no three fields"),
    "five columns": (b"6,2,4,1,1\n", "line 1: 5 fields where 3 or 4 are wanted"),
    "another number of columns further down": (LINES + b"6,2,4\n", "line 4: 3 fields where 4 are wanted"),
    "a decimal comma": (LINES.replace(b".", b","), "if decimals are written with a comma, write them with a point"),
    "a decimal comma between semicolons": (b"6;2;4,0;1\n", "'4,0' is not a rating .* write decimals with a point"),
    "a decimal comma in a time": (b"6;2;4;12892,5\n", "'12892,5' is not a time .* write decimals with a point"),
    "a header that contradicts itself": (b"to,from,x,time\n6,2,4,1\n", "header 'to,from,x,time' does not tell"),
    "a header with a name twice": (b"source,from,to,rating\n6,6,2,4\n", "two columns .* may be the rater"),
    "times first, and no header": (b"1289241911,6,2,4\n1289241912,5,6,7\n", "begin with its times; name its columns"),
    "an index that no header names": (b"0,6,2,4,1\n", "5 fields where 3 or 4 are wanted"),
    "a second header": (LINES + KNOWN, "line 4: 'TRUST_INDEX' is not a rating"),
    "times in some lines": (b"6,2,4,1\n6,5,2,\n", "line 2: a time in some lines and none in others"),
    "a quote that does not end": (LINES + b'"6,"2",4,1\n', "line 4: .* cannot be split"),
    "a member that rates itself": (LINES + b"7,7,5,1\n", "line 4: member 7 rates itself"),
    "zeros before a number": (b"007,2,4,1\n", "line 1: '007' may be member 7 or another; leave the zeros"),
    "a long line": (b"1," * 500, "line 1: longer than 256 characters"),
    "Latin-1": (b"6,2,4,1\nJos\xe9,2,4,1\n", "line 2: .* is not text; ratings are text in UTF-8"),
    "UTF-16 without a mark": (LINES.decode().encode("utf-16-le"), r"line 1: '\\x00' is not text"),
    "NUL at the end": (LINES + b"\0\0", r"line 4: '\\x00' is not text"),
    "^Z at the end": (LINES + b"\x1a", r"line 4: '\\x1a' is not text"),
    "HTML": (b"<!DOCTYPE html>\n", "is HTML or XML, perhaps the page of a download that failed"),
    "JSON": (b'[{"from":1}]\n', "is JSON; write it as CSV"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    "zstd": (b"\x28\xb5\x2f\xfd rest", "is packed with zstd; unpack it"),
    "tar": (tarred(LINES), "is a tar archive; unpack it"),
    "tar.gz": (gzip.compress(tarred(LINES)), "is a tar archive; unpack it"),
    "packed twice": (gzip.compress(bz2.compress(LINES)), "is packed twice; unpack it once"),
    "a zip of two": (zipped(LINES, "a.csv", "b.csv"), "is a zip of 2 files; unpack it"),
    "a spreadsheet": (zipped(LINES, "[Content_Types].xml", "xl/workbook.xml"), "is a spreadsheet; save it as CSV"),
    "a gzip that is none": (b"\x1f\x8bnot gzip at all", "cannot be read"),
    "a cut gzip": (gzip.compress(LINES)[:-20], "cannot be read: .*; give a file of ratings that is whole"),
    "a gzip with something behind it": (gzip.compress(LINES) + b"garbage", "cannot be read"),
    "a gzip with a wrong sum": (gzip.compress(LINES)[:-8] + bytes(8), "cannot be read: CRC"),
    "a cut bzip2": (bz2.compress(LINES)[:-10], "cannot be read"),
    "a cut xz": (lzma.compress(LINES)[:-10], "cannot be read"),
    "a cut zip": (zipped(LINES)[:-30], "cannot be read"),
}


@pytest.mark.parametrize("shape", TAKEN)
def test_a_shape_is_taken(tmp_path: Path, category: RatingCategory, shape: str) -> None:
    path = tmp_path / "ratings"
    path.write_bytes(TAKEN[shape])
    assert read_file(path, category) == (RATINGS, [])


@pytest.mark.parametrize("shape", NOTED)
def test_what_is_decided_about_a_shape_is_told(tmp_path: Path, category: RatingCategory, shape: str) -> None:
    content, ratings, notes = NOTED[shape]
    path = tmp_path / "ratings"
    path.write_bytes(content)
    assert read_file(path, category) == (ratings, notes)


@pytest.mark.parametrize("shape", REFUSED)
def test_a_shape_is_refused_in_a_sentence(tmp_path: Path, category: RatingCategory, shape: str) -> None:
    content, says = REFUSED[shape]
    path = tmp_path / "ratings"
    path.write_bytes(content)
    with pytest.raises(OperatorError, match=says) as refusal:
        read_file(path, category)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, category: RatingCategory) -> None:
    with pytest.raises(OperatorError, match="does not exist"):
        read_file(tmp_path / "nowhere.csv", category)
    with pytest.raises(OperatorError, match="cannot be read: Is a directory"):
        read_file(tmp_path, category)


@pytest.mark.parametrize("shape", ["as SNAP has it", "gzip", "zip"])
def test_a_pipe_is_read_whatever_comes_at_once(tmp_path: Path, category: RatingCategory, shape: str) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            for at in range(0, len(TAKEN[shape]), 3):
                pipe.write(TAKEN[shape][at : at + 3])

    writer = Thread(target=write)
    writer.start()
    assert read_file(path, category).ratings == RATINGS
    writer.join()


# ------------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize("packing", BOMBS)
@pytest.mark.parametrize("line", [b"\n", b"# nothing\n", b"\0" * 50])
def test_what_unpacks_to_too_much_is_left_unread(
    tmp_path: Path, category: RatingCategory, monkeypatch: pytest.MonkeyPatch, packing: str, line: bytes
) -> None:
    monkeypatch.setattr(unpack, "MAX_TEXT", 64_000)
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[packing](line * 1_000_000))
    with pytest.raises(OperatorError, match=r"unpacks to more text than a million ratings take|is not text"):
        read_file(path, category)


def test_a_line_that_never_ends_is_not_read_to_its_end(tmp_path: Path, category: RatingCategory) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(b"1" * 50_000_000))
    with pytest.raises(OperatorError, match="line 1: longer than 256 characters"):
        read_file(path, category)


def test_a_file_of_too_many_ratings_is_refused(
    tmp_path: Path, category: RatingCategory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings_file, "MAX_RATINGS", 3)
    path = tmp_path / "ratings"
    path.write_bytes(LINES)
    assert len(read_file(path, category).ratings) == 3
    path.write_bytes(LINES + b"1,2,3,1289243140\n")
    with pytest.raises(OperatorError, match="holds more than 3 ratings; cut it to its first ones"):
        read_file(path, category)


def test_a_zip_through_a_pipe_is_bounded(
    tmp_path: Path, category: RatingCategory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "MAX_PIPED_ZIP", 100)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = Thread(target=path.write_bytes, args=(TAKEN["zip"],))
    writer.start()
    with pytest.raises(OperatorError, match="through a pipe; give its path"):
        read_file(path, category)
    writer.join()


# ------------------------------------------------------------------------------------------------------------- fields


def test_a_member_is_a_number_or_a_name() -> None:
    assert [read_member(text) for text in ("0", "7", "7.00", str(MAX_MEMBER))] == [0, 7, 7, MAX_MEMBER]
    alice = read_member("alice")
    assert alice == 2**63 + int.from_bytes(sha256(b"alice").digest()[:8], "big") // 2
    names = ["alice", "Alice", "alice@example.org", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "7a", "josé", "李"]
    assert len({read_member(name) for name in names}) == len(names)
    assert all(MAX_MEMBER < read_member(name) < 2**64 for name in names)
    assert read_member("jose\u0301") == read_member("jos\u00e9")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-1",
            "+7",
            "07",
            "00",
            "7.5",
            "1e5",
            "1_000",
            "NaN",
            "null",
            "N/A",
            "-",
            "inf",
            "٢",
            "2010-11-08",
            "1,5",
        ),
        *(str(MAX_MEMBER + 1), "9" * 200, "x" * 65),
    ],
)
def test_what_may_mean_another_member_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a member|may be member"):
        read_member(text)


@pytest.mark.parametrize(
    "text", ["", "11", "-11", "4.5", "--4", "4e0", "NaN", "good", "+", "٢", "1_0", "9" * 200, "0x1"]
)
def test_what_is_no_rating(category: RatingCategory, text: str) -> None:
    with pytest.raises(ValueError, match="is not a rating from -10 to 10"):
        read_points(text, category)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1289241911", 1_289_241_911),
        ("1289241911.", 1_289_241_911),
        ("1289241911000", 1_289_241_911),
        ("1289241911000000", 1_289_241_911),
        ("1289241911000000000", 1_289_241_911),
        ("2010-11-08", 1_289_174_400),
        ("2010-11-08T19:45:11+01:00", 1_289_241_911),
    ],
)
def test_a_time_says_its_unit(text: str, seconds: int) -> None:
    assert read_time(text) == seconds * 10**9


@pytest.mark.parametrize(
    "text",
    ["-1", "yesterday", "1.2.3", "nan", "9" * 30, "1e99", "1969-12-31", "8/11/2010", "1289241911.٧٢", "0001-01-01"],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        read_time(text)
