"""What a running testnet looks like: a live table on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias

import trio
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scripts.console import remark, stdout_console

if TYPE_CHECKING:
    from scripts.testnet_parts.nodes import NodeProcess
    from scripts.testnet_parts.run import Testnet

FRAME_S = 0.5
LINE_S = 3.0
_BAR_COLUMNS = 40


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
        f"{elapsed_s:5.0f} s  {len(live)}/{len(testnet.nodes)} nodes  height {height}  finalized {final}  "
        f"{testnet.load.line(testnet)}  {max((node.transactions_per_s for node in live), default=0)} tx/s"
    )


class LiveView:
    """A table that renews itself, with the progress of its load under it."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def note(self, text: str) -> None:
        """A line above the table, with the time."""
        self._live.console.print(Text.assemble((time.strftime("%H:%M:%S "), "dim"), text))

    async def watch(self, testnet: Testnet) -> None:
        """Two frames a second."""
        while True:
            self._live.update(frame(testnet), refresh=True)
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


def frame(testnet: Testnet) -> Group:
    """The table of nodes, and how far its load is."""
    return Group(_nodes_table(testnet.nodes), _progress(testnet), Text(_hint(testnet), style="dim"))


def _nodes_table(nodes: list[NodeProcess]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("node", no_wrap=True)
    table.add_column("role", no_wrap=True)
    for name in ("peers", "height", "finalized", "mempool", "reorgs", "tx/s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("head", no_wrap=True)
    for node in nodes:
        role = "validator" if node.is_validator else "observer"
        status = node.status
        if status is None:
            numbers = [str(node.last["height"]), str(node.last["finalized_height"])] if node.last else ["-", "-"]
            cells = [node.name, role, "-", *numbers, "-", "-", "-", node.ended or "starting…"]
            table.add_row(*map(Text, cells), style="red" if node.ended else "dim")
            continue
        numbers = [
            f"{number:,}"
            for number in (
                status["peers"],
                status["height"],
                status["finalized_height"],
                status["mempool"],
                status["reorgs"],
                node.transactions_per_s,
            )
        ]
        cells = [node.name, role, *numbers]
        head = status["head_id"][:12] + (" syncing" if status["syncing"] else "")
        table.add_row(*map(Text, cells), Text(head))
    return table


def _progress(testnet: Testnet) -> Table:
    table = Table.grid(padding=(0, 1))
    for name, count, total in testnet.load.bars(testnet):
        done = "green" if count == total else "cyan"
        bar = ProgressBar(total=total, completed=count, width=_BAR_COLUMNS, complete_style=done)
        table.add_row(name, bar, f"{count:,} of {total:,}")
    return table


def _hint(testnet: Testnet) -> str:
    if not testnet.live:
        return "starting the nodes …"
    return f"{testnet.load.hint(testnet)}; Ctrl-C stops all nodes"
