"""Pictures of the explorer of a running node: ``python scripts/explorer.py --node URL``.

They are taken by a Chromium without a window, at a desk and on a phone, by day and by night.  With ``--film`` it cuts a
node of a testnet off, heals it, and writes ``explorer.gif`` of what the page shows meanwhile.  Exit codes: 0 done;
2 for a mistake that the operator can mend, such as no Chromium.
"""

from __future__ import annotations

from p2p.local.commandline import command, importing

from pathlib import Path

import click

from scripts.console import remark

DEFAULT_NODE = "http://127.0.0.1:4080"
DOCS = Path(__file__).parent / "docs"


@command
@click.option("--node", metavar="URL", default=DEFAULT_NODE, show_default=True, help="The page of a node.")
@click.option("--member", metavar="DID", help="Whose page is pictured.  [default: the first of the list]")
@click.option("--out", type=click.Path(path_type=Path), default=DOCS, help="Folder.  [default: scripts/docs]")
@click.option("--film", is_flag=True, help="Cut a node off and heal it, as a GIF; --node is what testnet.py printed.")
def main(node: str, member: str | None, out: Path, film: bool) -> None:
    """Take pictures of the explorer of a running node."""
    with importing():
        import trio

        from scripts.explorer_parts.film import take_film
        from scripts.explorer_parts.pictures import take_pictures
    if film:
        path = trio.run(take_film, node, out)
        remark(f"{path}, {path.stat().st_size // 1_000} kB")
        return
    for path in trio.run(take_pictures, node, member, out):
        remark(f"{path}, {path.stat().st_size // 1_000} kB")


if __name__ == "__main__":
    main()
