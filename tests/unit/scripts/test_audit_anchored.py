"""Reports that anybody can make again: the same bytes, and an anchor on the chain that says who stands by them."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chain.base.keys import did_from_key
from chain.content.actions import AUDIT, Anchor, Enrol, Rate
from scripts.anchor_file import MANIFEST, REPORT, read_manifest
from scripts.audit import audit
from scripts.audit_parts.anchored import digest_of
from scripts.chain_view import open_view
from scripts.replay import SAMPLE
from tests.support.homes import record, write_home
from tests.support.world import Actor, World


def run(*arguments: object) -> Result:
    return CliRunner().invoke(audit, [str(argument) for argument in arguments])


def checked(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture(scope="module")
def of_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the sample."""
    folder = tmp_path_factory.mktemp("of-file")
    assert run("--ratings-csv", SAMPLE, "--trusted", "1", "--limit", "5", "--anchor", folder).exit_code == 0
    return folder


@pytest.fixture
def copied(of_file: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(of_file, tmp_path / "copied"))


@pytest.fixture(scope="module")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A home, a report of it as it was before, which somebody anchored in it, and who did."""
    folder = tmp_path_factory.mktemp("anchored")
    world = World(validators=4, seed=6)
    disk = record(world.hosts[0])
    a, b = actors = [Actor(world.genesis, 200 + number) for number in range(2)]
    world.run(4)
    world.submit(0, [actor.sign(Enrol()) for actor in actors])
    world.run(4)
    world.submit(0, [a.sign(Rate(b.key, 1, 7))])
    world.run(12)
    early = write_home(folder / "early", world, disk)
    assert run("--home", early, "--anchor", folder / "report").exit_code == 0
    _, digests = read_manifest(folder / "report" / MANIFEST)
    world.submit(0, [a.sign(Anchor(AUDIT, *digests)), b.sign(Rate(a.key, 1, -2))])
    world.run(12)
    return write_home(folder / "home", world, disk), folder / "report", did_from_key(a.key)


def test_a_report_of_a_file_comes_out_the_same_again(of_file: Path) -> None:
    assert checked("--ratings-csv", SAMPLE, "--check", of_file) == {"same": True, "differs": {}, "anchors": []}


def test_the_digests_are_those_of_the_files_as_anybody_takes_them(of_file: Path) -> None:
    _, digests = read_manifest(of_file / MANIFEST)
    assert digests.data == sha256(SAMPLE.read_bytes()).digest()
    assert digests.result == sha256((of_file / REPORT).read_bytes()).digest()
    assert json.loads((of_file / REPORT).read_text())["ratings"] == 1_500


def test_a_report_of_a_chain_is_made_again_when_the_chain_has_gone_on(anchored: tuple[Path, Path, str]) -> None:
    home, report, signer = anchored
    found = checked("--home", home, "--check", report)
    assert (found["same"], found["differs"]) == (True, {})
    (anchor,) = found["anchors"]
    assert (anchor["by"], anchor["is_final"]) == (signer, True)
    told = json.loads((report / REPORT).read_text())
    assert told["ratings"] == 1, "the chain has two by now"


def test_a_home_without_the_anchor_has_none(anchored: tuple[Path, Path, str]) -> None:
    home, report, _ = anchored
    assert checked("--home", home.parent / "early", "--check", report)["anchors"] == []


def test_a_report_of_a_file_is_found_anchored_on_a_chain(anchored: tuple[Path, Path, str], of_file: Path) -> None:
    home, _, _ = anchored
    assert checked("--home", home, "--ratings-csv", SAMPLE, "--check", of_file)["anchors"] == []


def test_other_data_are_noticed(of_file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("1,2,3,4\n2,1,3,5\n1,3,4,6\n")
    result = run("--ratings-csv", tmp_path / "other.csv", "--check", of_file, "--json")
    assert result.exit_code != 0
    assert "another report comes out (data: it is another; result: it is another)" in said(result)
    assert '"same": false' in result.stdout


def test_another_report_is_noticed_though_its_manifest_fits(copied: Path) -> None:
    path = copied / REPORT
    told = json.loads(path.read_text())
    told["ratings"] = 7
    path.write_text(json.dumps(told))
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["digests"]["result"] = sha256(path.read_bytes()).hexdigest()
    (copied / MANIFEST).write_text(json.dumps(manifest))
    result = run("--ratings-csv", SAMPLE, "--check", copied)
    assert result.exit_code != 0
    assert "another report comes out (result: it is another)" in said(result)


def test_other_code_is_named_and_the_same_report_is_the_same(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["code"]["files"]["chain/register/ratings.py"] = "00" * 32
    manifest["digests"]["code"] = digest_of(manifest["code"]).hex()
    (copied / MANIFEST).write_text(json.dumps(manifest))
    found = checked("--ratings-csv", SAMPLE, "--check", copied)
    assert (found["same"], found["differs"]) == (True, {"code": "chain/register/ratings.py"})


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda it: it["asked"].update(limit=6), "manifest.json was changed"),
        (lambda it: it["code"]["libraries"].update(numpy="0"), "manifest.json was changed"),
        (lambda it: it["digests"].update(data="00" * 32), "manifest.json was changed"),
        (lambda it: it["digests"].update(result="00" * 32), "report.json was changed"),
        (lambda it: it["digests"].update(result="00"), "not the manifest"),
        (lambda it: it["digests"].pop("result"), "not the manifest"),
        (lambda it: it.update(format=2), "not the manifest"),
        (lambda it: it.pop("asked"), "not the manifest"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(copied: Path, spoil: Any, why: str) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    spoil(manifest)
    (copied / MANIFEST).write_text(json.dumps(manifest))
    result = run("--ratings-csv", SAMPLE, "--check", copied)
    assert result.exit_code != 0
    assert why in said(result)


def test_what_is_needed_to_check_is_asked_for(of_file: Path, anchored: tuple[Path, Path, str], tmp_path: Path) -> None:
    home, report, _ = anchored
    assert "give it as --ratings-csv" in said(run("--home", home, "--check", of_file))
    assert "give a node's --home" in said(run("--ratings-csv", SAMPLE, "--check", report))
    assert "cannot be read" in said(run("--home", home, "--check", tmp_path))
    (tmp_path / "groups.csv").write_text("a,b\n")
    assert "other --groups" in said(run("--home", home, "--groups", tmp_path / "groups.csv", "--check", report))


def test_a_chain_is_looked_at_up_to_a_height(anchored: tuple[Path, Path, str]) -> None:
    home, report, _ = anchored
    height = json.loads((report / MANIFEST).read_text())["data"]["height"]
    now, then = checked("--home", home), checked("--home", home, "--at-height", height)
    assert (now["ratings"], then["ratings"]) == (2, 1)
    with open_view(home) as view:
        newest = view.head_height
    assert f"this chain ends at height {newest}, and 9,999 was asked for" in said(
        run("--home", home, "--at-height", 9_999)
    )
    assert "is not final" in said(run("--home", home, "--at-height", newest, "--anchor", home / "no"))


def said(result: Result) -> str:
    """What a command that failed says."""
    return result.output + str(result.exception)
