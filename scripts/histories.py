"""Run many random histories of the registry and recount each in another way: ``python scripts/histories.py``.

In each, dozens of transactions, valid and invalid, spread over several blocks under some policy.  Score, tier and
every counter must be what a recount from the list of events gives; a refusal must change nothing; an amendment must
worsen nobody's standing; undoing, redoing and executing anew must give the same state, to the byte.

Exit codes: 0 if everything held; 1 at the first violation, with its seed; 2 for a mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

import click

from scripts.console import SeedRange, processes


@command
@click.option("--seeds", type=SeedRange(), default="0..300", show_default=True, help="Which histories to run.")
@processes
@as_json
@click.pass_context
def main(context: click.Context, seeds: range, processes: int | None, as_json: bool) -> None:
    """Live random histories of the registry and recount each of them in another way.

    A seed gives the same history on every machine: --seeds SEED lives it again.
    """
    with importing():
        from scripts.histories_parts.tally import run_all
    total = run_all(seeds, processes, as_json=as_json)
    context.exit(EXIT_WRONG if total.violation else 0)


if __name__ == "__main__":
    main()
