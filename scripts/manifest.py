"""Check a manifest, and print it as it is understood: ``python scripts/manifest.py FILE|random:SEED``.

Exit codes: 0 if it makes sense; 2 if not, with its line.
"""

from __future__ import annotations

from p2p.local.commandline import command, importing

import click

from scripts.console import remark, write


@command
@click.argument("source", metavar="[FILE|random:SEED]", required=False)
@write("the page that says what can stand in a manifest to scripts/docs/manifests.md")
def main(source: str | None, write: bool) -> None:
    """Say whether a manifest makes sense, and print it without what is as by default.

    It is carried out by testnet.py --manifest, or by simulate.py --manifest; see scripts/docs/manifests.md.
    """
    with importing():
        from scripts.manifest_parts.page import PAGE, page
        from scripts.manifest_parts.reading import load_manifest
        from scripts.manifest_parts.writing import to_toml
    if (source is None) != write:
        raise click.UsageError("name a manifest, or give --write alone")
    if source is not None:
        click.echo(to_toml(load_manifest(source)), nl=False)
    else:
        PAGE.write_text(page(), encoding="utf-8")
        remark(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
