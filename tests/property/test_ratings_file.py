"""Whatever the header, the separator, the encoding and the packing: the same ratings."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from chain.base.errors import OperatorError
from chain.content.policyfile import shipped_policy
from scripts.ratings_file import Rating, read_file

(CATEGORY,) = shipped_policy("marketplace").ratings.values()
COLUMNS = ("source", "target", "rating", "time")
START_S = 1_289_241_911


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.csv", content)
    return packed.getvalue()


PACKINGS: tuple[Callable[[bytes], bytes], ...] = (bytes, gzip.compress, bz2.compress, lzma.compress, zipped)
members = st.integers(0, 2**63 - 1) | st.integers(0, 9)
ratings = st.tuples(members, members, st.integers(-10, 10)).filter(lambda row: row[0] != row[1])


@given(st.data(), st.lists(ratings, min_size=1, max_size=8))
def test_a_shape_changes_nothing(data: st.DataObject, rows: list[tuple[int, int, int]]) -> None:
    draw = data.draw
    has_header = draw(st.booleans(), "header")
    order = draw(st.permutations(range(4)), "order") if has_header else range(4)
    separator = draw(st.sampled_from(",;\t| "), "separator")
    quote = draw(st.sampled_from(("", '"')), "quote")
    end = draw(st.sampled_from(("\n", "\r\n", "\r")), "end of line")
    lines = [[*map(str, row), str(START_S + number)] for number, row in enumerate(rows)]
    shuffled = draw(st.permutations(lines), "order of lines")
    table = ([[*COLUMNS]] if has_header else []) + shuffled
    text = "".join(separator.join(f"{quote}{row[at]}{quote}" for at in order) + end for row in table)
    comment = draw(st.sampled_from(("", "# a comment" + end, end)), "before it")
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16")), "encoding")
    content = draw(st.sampled_from(PACKINGS), "packing")((comment + text).encode(encoding))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ratings"
        path.write_bytes(content)
        assert read_file(path, CATEGORY).ratings == [Rating(*row) for row in rows]


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with TemporaryDirectory() as folder, suppress(OperatorError):
        path = Path(folder) / "ratings"
        path.write_bytes(content)
        read_file(path, CATEGORY)
