"""What each reason for a refusal means, as a page: ``scripts/docs/reasons.md``.

python scripts/reasons.py              print it
python scripts/reasons.py --write      write it
"""

from __future__ import annotations

from p2p.local.commandline import command

from pathlib import Path

import click

from chain.base.errors import Reason
from chain.base.meanings import MEANINGS
from scripts.console import remark, write

PAGE = Path(__file__).parent / "docs" / "reasons.md"
_INTRODUCTION = """\
# What a refusal means

    .uv/bin/uv run scripts/reasons.py --write

A refusal carries a code for programs. Here is every code, its rule, and what would be needed instead.
The code also says what the receiver does:

* **later**: it may become valid; it is kept, or can be sent again
* **ignore**: it is of no use, but an honest peer can send it
* **blame**: no honest peer sends it, and its sender is penalised
"""


def page() -> str:
    """The page, in Markdown."""
    rows = ["| code | receiver | rule | needed |", "|---|---|---|---|"]
    for reason in Reason:
        meaning = MEANINGS[reason]
        rows.append(f"| `{reason.code}` | {reason.disposition.value} | {meaning.rule} | {meaning.needed} |")
    return "\n".join([_INTRODUCTION, *rows, ""])


@command
@write("the page to scripts/docs/reasons.md instead of printing it")
def reasons(write: bool) -> None:
    """Say what each reason for a refusal means, as a page in Markdown."""
    if write:
        PAGE.write_text(page(), encoding="utf-8")
        remark(f"wrote {PAGE}")
    else:
        click.echo(page(), nl=False)


if __name__ == "__main__":
    reasons()
