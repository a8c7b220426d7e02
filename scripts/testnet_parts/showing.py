"""Where the explorer of a running testnet is, with its switches and the lab, and a browser that opens it."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from scripts.lab_parts.server import is_installed, serving
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
        address = await nursery.start(serve_switches, testnet, lab)
        view.note(f"explorer: {address}")
        if sys.stdout.isatty() and has_windows():
            await trio.to_thread.run_sync(webbrowser.open, address)


def has_windows() -> bool:
    """Whether a browser has somewhere to open a window: without one, Python starts a browser in the terminal."""
    is_there = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return is_there or sys.platform in ("darwin", "win32")
