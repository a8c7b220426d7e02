"""Tables in documents that people wrote."""

from __future__ import annotations

from collections.abc import Sequence

from chain.base.errors import OperatorError


def markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table: texts to the left in the first column, the rest to the right."""
    rule = ["---", *("---:" for _ in columns[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, rule, *lines))


def put(document: str, name: str, table: str) -> str:
    """The document with one of its tables made again.  Raises :class:`OperatorError` where its mark is missing."""
    begin, end = f"<!-- {name} -->\n", "<!-- end -->"
    before, _, rest = document.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise OperatorError(f"the document has no place for the table of {name}; restore {begin.strip()} … {end}")
    return before + begin + table + end + after
