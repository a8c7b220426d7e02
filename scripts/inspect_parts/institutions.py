"""Commands about those who judge and decide: authorities, motions, policies."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG

from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from chain.content.language import SCORE_LIMIT
from chain.content.policy import Policy
from chain.content.policyfile import load_policy, read_policy
from chain.content.proposals import Amend, decode_proposal
from chain.disk.inspection import View
from chain.documents.people import Document
from chain.documents.words import policy_changes
from chain.register.entries import Motion
from chain.register.statekeys import motion_key
from chain.register.view import read_policy_text
from p2p.local.endpoints import ARBITERS, AUTHORITIES, MOTIONS, POLICY
from scripts.chain_view import Finding, Sheet, as_of, facts, sheet
from scripts.console import short_did
from scripts.inspect_parts.dryrun import dry_run
from scripts.inspect_parts.question import limit, question


@question(AUTHORITIES)
def authorities(document: Document) -> Finding:
    """Accredited institutions, and how their decisions held.  Also what they may do and until when, and how they
    ruled.
    """
    found = document["authorities"]
    columns = (
        "authority",
        "status",
        "rights",
        "term",
        "filed",
        "withdrawn",
        "decided",
        "overturned",
        "forgiven",
        "rate ‰",
    )
    rows = [
        (
            row["authority"],
            row["status"] if row["in_term"] else f"{row['status']}, out of term",
            ", ".join(row["rights"]) or None,
            row["term"],
            row["filed"],
            row["withdrawn"],
            row["decided"],
            row["overturned"],
            row["forgiven_overturned"],
            row["overturned_permille"],
        )
        for row in found
    ]
    grants = [(short_did(row["authority"]), name) for row in found for name in row["categories"]]
    rulings = [
        (short_did(row["authority"]), short_did(each["issuer"]), each["upheld"], each["struck"], each["silent"])
        for row in found
        for each in row["rulings"]
    ]
    title = f"Authorities, {as_of(document)}; {suspension(document)}"
    sheets = [Sheet(title, columns, rows, ("term", "withdrawn", "filed", "rights"))]
    if grants:
        sheets.append(Sheet("What they may file", ("authority", "category"), grants))
    if rulings:
        sheets.append(Sheet("How arbiters ruled", ("arbiter", "issuer", "upheld", "struck", "silent"), rulings))
    return Finding(document, sheets)


def suspension(document: Document) -> str:
    """When the policy suspends an authority, in a few words."""
    permille, least = document["limit_permille"], document["limit_minimum"]
    if permille == 1_000:
        return "none is suspended, whatever is overturned"
    return f"suspended above {permille} ‰ overturned of {least} contested records or more"


@question(ARBITERS)
def arbiters(document: Document) -> Finding:
    """Among whom a lot is drawn, and how they ruled so far."""
    columns = ("arbiter", "since_height", "in_office", "upheld", "struck", "silent", "struck_permille")
    rows = [tuple(row[name] for name in columns) for row in document["arbiters"]]
    return Finding(document, [Sheet(f"Arbiters, {as_of(document)}", columns, rows, ("since_height",))])


@question(MOTIONS)
@click.option("--open", "only_open", is_flag=True, help="Only those that can still be approved.")
@limit(20)
def motions(document: Document) -> Finding:
    """Motions, the newest first.  It says what they propose, who approves, and the weight that they still need."""
    found = document["motions"]
    columns = ("number", "status", "proposer", "approvals", "weight_needed", "left")
    rows = [
        (
            row["number"],
            row["status"] if row["closed_height"] is None else f"{row['status']} at height {row['closed_height']:,}",
            short_did(row["proposer"]),
            len(row["approvals"]),
            row.get("weight_needed"),
            row.get("left"),
        )
        for row in found
    ]
    sheets = [Sheet(f"Motions: {document['open']} open, {as_of(document)}", columns, rows, ("proposer",))]
    if found:
        sheets.append(
            Sheet("What they propose", ("number", "proposal"), [(row["number"], row["proposes"]) for row in found])
        )
    return Finding(document, sheets)


def _dry_run(view: View, file: Path | None, number: int | None, limit: int) -> Finding | None:
    """What a policy would do, where one is named."""
    if file is not None and number is not None:
        raise OperatorError("--dry-run and --motion are two questions; ask one at a time")
    if file is not None:
        return _compared(view, load_policy(file), str(file), limit)
    return None if number is None else _compared(view, _proposed(view, number), f"motion {number}", limit)


@question(POLICY, of_home=_dry_run, options=("file", "number"))
@click.option(
    "--dry-run",
    "file",
    metavar="FILE.toml",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What this policy would do to every score and tier; exits with 1 where it may not replace the one in force.",
)
@click.option("--motion", "number", type=click.IntRange(0), help="The same for the policy that a motion proposes.")
@limit(10)
def policy(document: Document, **_: Any) -> Finding:
    """The rules in force, and those announced.  They are tiers, categories, and how a score follows."""
    known, announced = read_policy(document["policy"]), document["announced"]
    shown = {
        "name": known.name,
        "version": known.version,
        "digest": document["digest"],
        "score": _score_in_words(known),
        "enrolment": document["policy"]["enrolment"],
        **document["policy"]["periods"],
        **document["policy"]["rights"],
        "suspended above": f"{known.overturned_permille} ‰ overturned, of {known.overturned_minimum} contested or more",
    }
    sheets = [facts(f"Policy, {as_of(document)}", shown), *_rules_sheets(known)]
    if announced is not None:
        coming = read_policy(announced["policy"])
        title = f"Announced: policy {coming.version} from slot {announced['slot']}, in {announced['left']}"
        sheets.append(Sheet(title, ("rule", "before", "after"), policy_changes(known, coming)))
    return Finding(document, sheets)


def _score_in_words(known: Policy) -> str:
    """From what a score is added up."""
    low, high = known.ratings_floor, known.ratings_cap
    ratings = f"points of ratings, together {low} to {high}" if low < high else "nothing for ratings"
    return f"{known.base:,} + points of records + {ratings}"


def _rules_sheets(known: Policy) -> list[Sheet]:
    """What a policy lists, as far as it lists anything."""
    tiers = [(tier.name, tier.threshold, tier.cap_records) for tier in known.tiers]
    severities = [(item.name, item.repair_after_days, item.expires_after_days) for item in known.severities]
    categories = [
        (
            item.code,
            item.name,
            item.low,
            item.high,
            None if item.floor == -SCORE_LIMIT else item.floor,
            None if item.ceiling == SCORE_LIMIT else item.ceiling,
            ", ".join(known.severities[code - 1].name for code in item.severities) or None,
            item.needs_reason,
            None if item.tier_cap is None else known.tier(item.tier_cap).name,
            item.is_closed,
            "stands" if item.stands_disputed else "suspended",
            item.half_life_days or None,
        )
        for _, item in sorted(known.categories.items())
    ]
    ratings = [(item.code, item.name, item.low, item.high, item.is_closed) for _, item in sorted(known.ratings.items())]
    names = (
        "code",
        "category",
        "min",
        "max",
        "floor",
        "ceiling",
        "severities",
        "reason",
        "tier_cap",
        "closed",
        "disputed",
        "half_life_days",
    )
    sheets = [
        Sheet("Tiers", ("tier", "from_score", "cap_records"), tiers),
        Sheet("Severities", ("severity", "repair_after_days", "expires_after_days"), severities),
        Sheet("Categories of records", names, categories),
        Sheet("Categories of ratings", ("code", "category", "min", "max", "closed"), ratings),
    ]
    return [found for found in sheets if found.rows]


def _compared(view: View, new: Policy, source: str, limit: int) -> Finding:
    found = dry_run(view.state, new, limit)
    document = {**view.at_state, "policy": source, **found}
    verdict = "may replace the one in force" if found["allowed"] else f"may not replace it: {found['fault']}"
    title = f"Policy {new.version} of {source} {verdict}, {as_of(document)}"
    counts: list[dict[str, Any]] = [{"of": name, **found[name]} for name in ("scores", "tiers")]
    sheets = [
        sheet(title, ("of", "up", "down", "unchanged"), counts),
        sheet("Rules that change", ("rule", "before", "after"), found["changes"]),
        Sheet(
            f"What it worsens for the future, with {found['notice_days']} days of notice",
            ("worse",),
            [(what,) for what in found["worsens"]],
        ),
        sheet("Moves between tiers", ("tier", "new_tier", "members"), found["between_tiers"]),
        Sheet(
            f"Most affected of {found['affected']} members",
            ("member", "score", "new_score", "tier", "new_tier"),
            [
                tuple(row[name] for name in ("member", "score", "new_score", "tier", "new_tier"))
                for row in found["most_affected"]
            ],
        ),
    ]
    return Finding(
        document, [sheets[0], *(item for item in sheets[1:] if item.rows)], 0 if found["allowed"] else EXIT_WRONG
    )


def _proposed(view: View, number: int) -> Policy:
    proposal = decode_proposal(_motion(view, number).proposal)
    if not isinstance(proposal, Amend):
        raise OperatorError(f"motion {number} proposes no policy; see `motions`")
    return read_policy_text(proposal.document)


def _motion(view: View, number: int) -> Motion:
    motion = view.state.get(motion_key(number)) if number < 2**32 else None
    if not isinstance(motion, Motion):
        raise OperatorError(f"there is no motion {number}; see `motions`")
    return motion
