"""What another implementation goes by: the vectors are what the code makes, and the page says what the code does."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chain.base.codec import decode, integer
from chain.base.errors import Refused
from chain.branches.ledger import Ledger
from chain.documents.proof import check_evidence
from chain.register import registry
from p2p.refusals import Why
from tests.support import wire_vectors
from tests.support.wire_vectors import FILES, FOLDER, GENESIS, MEMBER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "scripts" / "docs" / "wire.md").read_text("utf-8")
LIMIT = re.compile(r"^\| ([\d,.]+)[^|]*\|[^|]*\| `([\w.]+)\.(\w+)(?:\[(\d)\])?` \|$", re.MULTILINE)
NODE_JS = shutil.which("node")


@pytest.mark.parametrize("name", FILES)
def test_a_vector_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text("utf-8") == FILES[name](), (
        "if the change is meant, bump the version and run: python -m tests.support.wire_vectors"
    )


def test_no_file_of_vectors_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(FILES)


def test_the_vectors_blocks_are_valid_and_their_proof_holds() -> None:
    ledger = Ledger(GENESIS)
    first = wire_vectors._blocks()[0]
    draft = ledger.draft(first.header.slot, wire_vectors._forge().votes(first).electorate)
    for transaction in first.transactions:
        registry.apply(draft, transaction)
    proven = check_evidence(GENESIS, bytes.fromhex(wire_vectors.requests()["proof"]["reply"]))
    assert (proven.key, proven.header.height, proven.member is not None) == (MEMBER.key, 3, True)


@pytest.mark.parametrize("case", wire_vectors.encoding()["refused"], ids=lambda case: str(case["what"]))
def test_what_the_vectors_call_refused_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(Refused):  # noqa: PT012 - by whichever of the two
        for item in decode(bytes.fromhex(case["bytes"]), max_bytes=1_000):
            integer(item, 0, 2**64 - 1, "the one item")  # types are for whoever reads a field


@pytest.mark.parametrize("row", LIMIT.findall(PAGE), ids=lambda row: f"{row[1]}.{row[2]}")
def test_a_limit_on_the_page_is_the_codes(row: tuple[str, str, str, str]) -> None:
    said, module, name, index = row
    value = getattr(importlib.import_module(module), name)
    assert float(said.replace(",", "")) == float(value[int(index)] if index else value)


def test_the_page_has_the_limits_and_every_reason_of_a_refusal() -> None:
    assert len(LIMIT.findall(PAGE)) >= 40
    for why in Why:
        assert re.search(rf"^\| {why.value} \| {why.name.lower().replace('_', ' ')} \|", PAGE, re.MULTILINE), why


@pytest.mark.skipif(NODE_JS is None, reason="Node.js is not installed")
def test_a_reader_in_another_language_agrees_with_every_vector() -> None:
    command = [str(NODE_JS), str(ROOT / "tests" / "foreign" / "js" / "vectors.js"), str(FOLDER)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert set(ended.stdout.split()) == set(FILES)
