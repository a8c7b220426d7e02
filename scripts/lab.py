"""The lab: the simulator in the browser, to place villains, cut the network, and see who is named.

    npm ci --prefix scripts/lab_parts/page      once: Pyodide, 14 MB
    python scripts/lab.py                       prints the address and opens it; Ctrl-C ends it

The engine in the page is the node's own (``chain/``), but for signatures: see ``scripts/docs/lab.md``.
"""

from __future__ import annotations

from p2p.local.commandline import command, importing

import webbrowser

import click

from scripts.console import remark


@command
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Where it listens.  [default: any free port]")
@click.option("--open/--no-open", "is_opened", default=True, help="Whether the page is opened.  [default: yes]")
def lab(port: int, is_opened: bool) -> None:
    """Serve a page in which the simulator runs, on this machine, until Ctrl-C."""
    with importing():
        from scripts.lab_parts.server import serving
    with serving(port) as (url, server):
        click.echo(url)
        if is_opened and not webbrowser.open(url):
            remark("open it in a browser")
        server.serve_forever()


if __name__ == "__main__":
    lab()
