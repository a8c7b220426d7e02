"""What a running testnet looks like: a live table on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

from p2p.local.commandline import launched

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias

import trio
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scripts.console import remark, stdout_console
from scripts.tables import lay_out, wrapped

if TYPE_CHECKING:
    from scripts.testnet_parts.nodes import NodeProcess
    from scripts.testnet_parts.run import Testnet

FRAME_S = 0.5
LINE_S = 3.0
_BAR_COLUMNS = 40
# The longest name of a bar, and the gaps beside it.
_NAME_COLUMNS = 12
# Ctrl-C leaves this behind the last line; on a line of its own it would push the table away from its place.
_ECHO = "^C"


#: A name, how many there are, and of how many.
Bar: TypeAlias = tuple[str, int, int]


class View(Protocol):
    """Shows a testnet while it runs."""

    def note(self, text: str) -> None:
        """Say a sentence about something that happened."""

    async def watch(self, testnet: Testnet) -> None:
        """Show the testnet again and again, until cancelled."""


class PlainView:
    """One line every few seconds on stderr; stdout stays free for the result."""

    def note(self, text: str) -> None:
        """A line of its own."""
        remark(text)

    async def watch(self, testnet: Testnet) -> None:
        """A line now and then."""
        started_s = time.monotonic()
        while True:
            await trio.sleep(LINE_S)
            remark(progress_line(testnet, time.monotonic() - started_s))


def progress_line(testnet: Testnet, elapsed_s: float) -> str:
    """Where everything stands, on one line."""
    live = testnet.live
    height = max((node.told["height"] for node in live), default=0)
    final = max((node.told["finalized_height"] for node in live), default=0)
    return (
        f"{elapsed_s:5.0f} s  {len(live)}/{len(testnet.nodes)} nodes  height {height:,}  finalized {final:,}  "
        f"{testnet.load.line(testnet)}  {max((node.transactions_per_s for node in live), default=0)} tx/s"
    )


class LiveView:
    """A table that renews itself, with the progress of its load under it."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def note(self, text: str) -> None:
        """Said above the table, with the time; a command stands alone, so that the whole line can be copied."""
        if text.startswith("python "):
            self._live.console.print(Text(launched(text)), soft_wrap=True)
            return
        moment = time.strftime("%H:%M:%S ")
        first, *more = wrapped(text, self._live.console.width - len(moment)) or [""]
        lines = [Text.assemble((moment, "dim"), first), *(Text(" " * len(moment) + line) for line in more)]
        for line in lines:  # a path or an address that is longer than a line stays whole
            self._live.console.print(line, soft_wrap=True)

    async def watch(self, testnet: Testnet) -> None:
        """Two frames a second."""
        while True:
            self._live.update(frame(testnet, self._live.console.width), refresh=True)
            await trio.sleep(FRAME_S)


@contextmanager
def open_view(*, plain: bool) -> Iterator[View]:
    """The live table on a terminal, lines elsewhere or where ``plain``."""
    console: Console = stdout_console()
    if plain or not console.is_terminal:
        yield PlainView()
        return
    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield LiveView(live)


def frame(testnet: Testnet, width: int) -> Group:
    """The table of nodes, and how far its load is, in lines of ``width`` characters at most."""
    hint = [Text(line, style="dim") for line in wrapped(_hint(testnet), width - len(_ECHO))]
    return Group(*_nodes(testnet.nodes, width), _progress(testnet, width), *hint)


_COLUMNS = ("node", "role", "http", "pid", "peers", "height", "finalized", "mempool", "reorgs", "tx/s", "head")
_IS_NUMBER = [name not in ("node", "role", "http", "head") for name in _COLUMNS]
# Where the terminal is narrow, these go first.
_LEAST = ("reorgs", "mempool", "peers", "head", "pid")


def _nodes(nodes: list[NodeProcess], width: int) -> list[Text]:
    (heading, *rows), _ = lay_out(_COLUMNS, [_cells(node) for node in nodes], _IS_NUMBER, width, _LEAST)
    styles = ["" if node.is_live else "red" if node.ended else "dim" for node in nodes]
    lines = [Text(line, style="bold") for line in heading]
    lines += [Text(line, style=style) for row, style in zip(rows, styles, strict=True) for line in row]
    return [*lines, Text()]


def _cells(node: NodeProcess) -> list[str]:
    role = "validator" if node.is_validator else "observer"
    status = node.status
    if status is None:
        heights = [str(node.last["height"]), str(node.last["finalized_height"])] if node.last else ["-", "-"]
        return [node.name, role, "-", "-", "-", *heights, "-", "-", "-", node.ended or "starting…"]
    numbers = (
        status["peers"],
        status["height"],
        status["finalized_height"],
        status["mempool"],
        status["reorgs"],
        node.transactions_per_s,
    )
    head = status["head_id"][:12] + (" syncing" if status["syncing"] else "")
    return [node.name, role, node.url.rpartition(":")[2], str(node.pid), *(f"{number:,}" for number in numbers), head]


def _progress(testnet: Testnet, width: int) -> Table:
    table = Table.grid(padding=(0, 1))
    for name, count, total in testnet.load.bars(testnet):
        told = f"{count:,} of {total:,}"
        done = "green" if count == total else "cyan"
        room = max(1, min(_BAR_COLUMNS, width - _NAME_COLUMNS - len(told)))
        table.add_row(name, ProgressBar(total=total, completed=count, width=room, complete_style=done), told)
    return table


def _hint(testnet: Testnet) -> str:
    if not testnet.live:
        return "starting the nodes …"
    others = [node.name for node in testnet.live if node.is_anothers]
    stops = "Ctrl-C stops all nodes" + (f" but {', '.join(others)}, started by hand" if others else "")
    waits = [(node.name, node.told["silent_why"]) for node in testnet.live if node.is_validator]
    if waits and all(why for _, why in waits):  # as after a rest: nothing moves for a minute or two
        name, why = waits[0]
        return f"the validators wait; {name} says: {why}; {stops}"
    return f"homes: {testnet.home.path}/node…; {testnet.load.hint(testnet)}; {stops}"
