"""The documents: links lead somewhere, commands exist, README stays short, and CI takes a Python that README names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.abuse_parts.catalogue import ATTACKS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {"node_modules", ".venv", ".uv", ".hypothesis"} & set(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?<![\w/])\b((?:scripts/)?[a-z_]+\.py)\b")
# A line to type, what a shell would not take for a remark behind it, and a command that a clone does not find.
TYPED = re.compile(r" {4}(?:[A-Z]+=\S+ )*(?:\S*\.py|goodfaith|\S*/uv|uv|python3?|npm|node|bash|kill|pytest|curl) (?! )")
REMARK = re.compile(r"\S {2,}[^#\s]")
UNPREFIXED = re.compile(r" {4}(?:[A-Z]+=\S+ )*(?:uv |node\.py|scripts/)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# Long enough to say what it is for and how to try it; the rest is one link away.
MAX_README_WORDS = 1_200


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as links spell them."""
    headings = HEADING.findall(page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for link in LINK.findall(page.read_text("utf-8")):
        target, _, anchor = link.partition("#")
        if ":" in target:  # another site
            continue
        there = page.parent / target if target else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


def test_what_the_node_does_about_each_attack_is_on_the_page() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \|", (ROOT / "scripts" / "docs" / "abuse.md").read_text("utf-8"), re.MULTILINE)
    assert [row for row in rows if row != "attack"] == [attack.name for attack in ATTACKS]


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= MAX_README_WORDS


@pytest.mark.parametrize(("python", "is_taken"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)])
def test_ci_takes_a_python_of_the_system_only_where_the_project_runs_on_it(
    python: tuple[int, int], is_taken: bool
) -> None:
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text("utf-8")
    (asked,) = re.findall(r"""-c '(import sys; .*)'""", (ROOT / ".ci" / "run").read_text("utf-8"))
    code = asked.replace("sys.version_info", repr(python))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == (0 if is_taken else 1)


def test_commands_in_the_documents_exist() -> None:
    named = {
        (page.name, name)
        for page in PAGES
        for name in COMMAND.findall(page.read_text("utf-8"))
        if name.startswith("scripts/")
    }
    assert [each for each in sorted(named) if not (ROOT / each[1]).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "scripts/docs/README.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "scripts/docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_command_can_be_pasted_with_its_remark(page: Path) -> None:
    typed = [line for line in page.read_text("utf-8").splitlines() if TYPED.match(line)]
    assert [line for line in typed if REMARK.search(line)] == []
    assert [line for line in typed if UNPREFIXED.match(line)] == []
