"""Where the explorer of a running testnet is, with its switches and the lab, and a browser that opens it."""

from __future__ import annotations

import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlencode

import trio

from scripts.lab_parts.server import is_installed, serving
from scripts.testnet_parts.nodes import NodeProcess
from scripts.testnet_parts.run import STATUS_EVERY_S, Testnet
from scripts.testnet_parts.switches import serve_switches
from scripts.testnet_parts.view import View


async def show(view: View, testnet: Testnet) -> None:
    """Say where it is once all nodes answered, open it where somebody sits at a terminal, and watch the testnet."""
    with _lab() as lab:
        await _show(view, testnet, lab)


@contextmanager
def _lab() -> Iterator[str | None]:
    """Where the lab is meanwhile, if it is installed."""
    if not is_installed():
        yield None
        return
    with serving() as (url, server):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield url
        finally:
            server.shutdown()


async def _show(view: View, testnet: Testnet, lab: str | None) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.watch, testnet)
        while any(node.last is None for node in testnet.nodes):
            await trio.sleep(STATUS_EVERY_S)
        address = address_of(testnet.nodes) + await nursery.start(serve_switches, testnet, lab)
        view.note(f"explorer: {address}")
        if sys.stdout.isatty():
            await trio.to_thread.run_sync(webbrowser.open, address)


def address_of(nodes: Sequence[NodeProcess]) -> str:
    """The page of the first node that is up; it asks the others, and compares what they call final."""
    first, *others = [node.url for node in nodes if node.is_live]
    return f"{first}/" + (f"?{urlencode([('node', url) for url in others], safe=':/')}" if others else "")
