"""Run many random histories of the registry, and count each again in another way: ``python scripts/histories.py``.

In each, dozens of transactions, valid and invalid, spread over several blocks under some policy, and most often
somebody with a plan to worsen another's standing.  No right may be taken from anybody by any of them; score, tier and
every counter must be what a recount from the list of events gives; a refusal must change nothing; undoing, redoing and
executing anew must give the same state, to the byte.

Rushed ones are about less, and faster: few keys do everything to one another, each delay lasts a slot or two, and all
that falls due must still have its parties, whoever is gone, half gone or back again.

Exit codes: 0 if everything held; 1 at the first violation, with its seed (with --mutate: if a broken rule was not
noticed); 2 for a mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

from collections.abc import Collection

import click

from scripts.console import OneOf, SeedRange, processes, write

ALL = "all"


def _broken() -> Collection[str]:
    from scripts.histories_parts.broken import BROKEN

    return [*BROKEN, ALL]


@command
@click.option("--seeds", type=SeedRange(), default="0..400", show_default=True, help="Which histories to run.")
@click.option("--mutate", type=OneOf("RULE|all", _broken), help="Break one rule, or each, and see that it is noticed.")
@click.option(
    "--rushed", is_flag=True, help="Few keys, short delays: look for what no rule foresaw, and count nothing."
)
@write("what --mutate all finds to scripts/docs")
@processes
@as_json
@click.pass_context
def main(
    context: click.Context,
    seeds: range,
    mutate: str | None,
    rushed: bool,
    write: bool,
    processes: int | None,
    as_json: bool,
) -> None:
    """Play random histories of the registry: nobody may lose a right, and a second count must give the same scores.

    A seed gives the same history on every machine: --seeds SEED plays it again.
    """
    if write and mutate != ALL:
        raise click.UsageError("--write writes what --mutate all finds; give that, too")
    if rushed and mutate:
        raise click.UsageError("--mutate breaks rules for whole histories; leave --rushed out")
    with importing():
        from scripts.histories_parts.breaking import run_broken
        from scripts.histories_parts.broken import BROKEN
        from scripts.histories_parts.tally import run_all
    if mutate:
        names = list(BROKEN) if mutate == ALL else [mutate]
        is_seen = run_broken(names, seeds, as_json=as_json, is_written=write)
        context.exit(0 if is_seen else EXIT_WRONG)
    total = run_all(seeds, processes, as_json=as_json, is_rushed=rushed)
    context.exit(EXIT_WRONG if total.violation else 0)


if __name__ == "__main__":
    main()
