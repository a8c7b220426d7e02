"""``node.py genesis`` as four operators type it, with a clock of the test's, and what they read."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

import node
from chain.content.genesis import load_genesis
from chain.disk.storage import Storage
from p2p.local.home import load_home
from p2p.local.keyfile import write_key
from tests.support.commands import exit_code
from tests.support.world import secret

NOON_MS = 1_900_000_000_000  # 2030-03-17T17:46:40Z
OFFICES = ("north", "east", "south", "west")


class Desk:
    """Where all four sit, and the clock on the wall."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.now_ms = NOON_MS
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str]:
        """Type a command: its exit code, and all it said."""
        code = exit_code(node.main, [str(word) for word in words])
        captured = self._capsys.readouterr()
        return code, captured.out + captured.err

    def new(self, *options: str, start: str = "+1h") -> tuple[int, str]:
        return self("genesis", "new", self.folder / "plan.json", "--name", "city", "--start", start, *options)

    def join(self, office: str, *options: str) -> tuple[int, str]:
        number = 1 + OFFICES.index(office)
        entry, home = self.folder / f"{office}.json", self.folder / office
        who = ("--organisation", office, "--address", f"/ip4/127.0.0.{number}/tcp/4001", "--home", home)
        return self("genesis", "join", self.folder / "plan.json", entry, *who, *options)

    def show(self, *offices: str, out: str = "", as_json: bool = False) -> tuple[int, str]:
        files = [self.folder / f"{office}.json" for office in offices]
        options = [*(["--out", self.folder / out] if out else []), *(["--json"] if as_json else [])]
        return self("genesis", "show", self.folder / "plan.json", *files, *options)

    def init(self, office: str, *options: object) -> tuple[int, str]:
        return self("init", "--home", self.folder / office, "--genesis", self.folder / "genesis.json", *options)

    def is_silent(self, office: str) -> bool:
        """Whether a node of this home takes what it signed for lost."""
        home = load_home(self.folder / office)
        with closing(Storage(home.database, home.genesis)) as storage:
            return storage.load()[1] is None


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path, capsys)
    monkeypatch.setattr("p2p.clocks.wall_ms", lambda: desk.now_ms)
    return desk


@pytest.fixture
def founded(desk: Desk) -> Desk:
    """All four joined, and the genesis is written."""
    assert desk.new()[0] == 0
    assert [desk.join(office)[0] for office in OFFICES] == [0, 0, 0, 0]
    assert desk.show(*OFFICES, out="genesis.json")[0] == 0
    return desk


def test_four_found_a_network_and_none_is_silent(founded: Desk) -> None:
    genesis = load_genesis(founded.folder / "genesis.json")
    code, said = founded.show(*reversed(OFFICES), out="again.json")
    assert code == 0
    assert genesis.id.hex() in said
    assert (founded.folder / "again.json").read_bytes() == (founded.folder / "genesis.json").read_bytes()
    for number, office in enumerate(OFFICES, 1):
        code, said = founded.init(office)
        assert (code, "the network begins at 2030-03-17T18:46:40Z, and the node waits" in said) == (0, True)
        home = load_home(founded.folder / office)
        assert home.secret.public in dict(genesis.validators)
        assert len(home.config.peers) == 3
        assert all(f"/ip4/127.0.0.{number}/" not in peer for peer in home.config.peers)
        assert not founded.is_silent(office)


def test_what_they_read_fits_a_terminal(desk: Desk) -> None:
    said = desk.new()[1] + "".join(desk.join(office)[1] for office in OFFICES)
    said += desk.show("north")[1] + desk.show(*OFFICES, out="genesis.json")[1]
    said += desk("genesis", "show", desk.folder / "genesis.json")[1]
    lines = [line for line in said.splitlines() if not line.startswith("not yet") and str(desk.folder) not in line]
    assert [line for line in lines if len(line) > 80 and "node.py" not in line] == []
    assert "begins     2030-03-17T18:46:40Z, in 1 h" in lines
    assert "organisation  weight  key        address" in lines


def test_before_a_network_begins_a_key_of_before_is_not_silent(founded: Desk) -> None:
    write_key(founded.folder / "own.key", secret(9).seed)
    assert founded.init("home", "--key", founded.folder / "own.key")[0] == 0
    assert not founded.is_silent("home")


def test_after_it_began_a_founder_may_have_signed_elsewhere(founded: Desk) -> None:
    founded.now_ms = load_genesis(founded.folder / "genesis.json").genesis_time_ms
    code, said = founded.init("north")
    assert code == 0
    assert "so this key may have signed elsewhere: the node says nothing until the chain made final that it" in said
    assert founded.is_silent("north")
    assert founded.init("observer") == (0, f"{said.splitlines()[0]}\n".replace("north", "observer"))
    assert not founded.is_silent("observer")


def test_who_founds_alone_with_a_key_of_before_is_not_silent(desk: Desk) -> None:
    write_key(desk.folder / "own.key", secret(9).seed)
    options = ("--new-network", "village", "--key", desk.folder / "own.key")
    assert desk("init", "--home", desk.folder / "home", *options)[0] == 0
    assert not desk.is_silent("home")


def test_a_home_that_joined_another_network_is_refused(founded: Desk) -> None:
    (founded.folder / "genesis.json").rename(founded.folder / "other.json")
    (founded.folder / "plan.json").unlink()
    founded.new(start="+2h")
    for office in OFFICES[:3]:
        (founded.folder / f"{office}.json").unlink()
        assert founded.join(office)[0] == 0
    (founded.folder / "west.json").unlink()
    founded("genesis", "join", founded.folder / "plan.json", founded.folder / "west.json", "--organisation", "west",
            "--address", "/ip4/127.0.0.9/tcp/4001", "--home", founded.folder / "other")  # fmt: skip
    assert founded.show(*OFFICES, out="genesis.json")[0] == 0
    code, said = founded.init("west")
    assert (code, "is that of no validator in this genesis" in said) == (2, True)
    assert founded.init("other")[0] == 0


def test_too_few_are_told_and_write_nothing(founded: Desk) -> None:
    code, said = founded.show("north", "east", "south")
    assert code == 0
    assert "not yet enough: the plan wants to go on while 1 of its founders fail, which takes 4 entries" in said
    code, said = founded.show("north", "east", "south", out="few.json")
    assert (code, "there are 3; collect more, or agree on a plan that tolerates less" in said) == (2, True)
    assert not (founded.folder / "few.json").exists()
    told = json.loads(founded.show("north", as_json=True)[1])
    assert told["genesis"] is None
    assert told["lacking"]


def test_all_of_it_is_told_as_json(founded: Desk) -> None:
    told = json.loads(founded.show(*OFFICES, as_json=True)[1])
    assert told["genesis"] == load_genesis(founded.folder / "genesis.json").id.hex()
    assert (told["begins"], told["lacking"]) == ("2030-03-17T18:46:40Z", None)
    assert {entry["organisation"] for entry in told["founders"]} == set(OFFICES)
    assert json.loads(founded("genesis", "show", founded.folder / "genesis.json", "--json")[1]) == told


def test_what_begins_too_late_or_never(founded: Desk) -> None:
    founded.now_ms = load_genesis(founded.folder / "genesis.json").genesis_time_ms
    for code, said in (founded.join("north"), founded.show(*OFFICES, out="late.json")):
        assert (code, "which has passed; make one that begins later" in said) == (2, True)
    (founded.folder / "plan.json").unlink()
    for start, sentence in (
        ("2030-01-01", "which has passed"),
        ("+0h", "which has passed"),
        ("soon", "--start is a moment like 2030-05-01T09:00Z, or +3d, +2h, +30min, not 'soon'"),
    ):
        code, said = founded.new(start=start)
        assert (code, sentence in said) == (2, True), said


@pytest.mark.parametrize(
    ("start", "begins"),
    [
        ("2031-01-02", "2031-01-02T00:00:00Z"),
        ("2031-01-02T03:04+02:00", "2031-01-02T01:04:00Z"),
        ("+2d", "2030-03-19T17:46:40Z"),
        ("+5min", "2030-03-17T17:51:40Z"),
    ],
)
def test_a_start_is_a_moment_or_a_while_from_now(desk: Desk, start: str, begins: str) -> None:
    assert f"begins     {begins}" in desk.new(start=start)[1]


def test_terms_out_of_range_are_named(desk: Desk) -> None:
    code, said = desk.new("--slot-ms", "1")
    assert (code, "the plan's slot_ms must be an integer from 50 to 3600000" in said) == (2, True)


def test_a_key_of_before_is_used(desk: Desk) -> None:
    write_key(desk.folder / "own.key", secret(9).seed)
    desk.new()
    assert desk.join("north", "--key", str(desk.folder / "own.key"))[0] == 0
    assert (desk.folder / "north" / "key").read_text("ascii") == f"{secret(9).seed.hex()}\n"
    write_key(desk.folder / "other.key", secret(8).seed)
    code, said = desk.join("north", "--key", str(desk.folder / "other.key"))
    assert (code, "has another key already; leave out --key" in said) == (2, True)


def test_a_genesis_of_one_machine_has_nothing_to_show(desk: Desk) -> None:
    desk("init", "--home", desk.folder / "home", "--new-network", "village")
    code, said = desk("genesis", "show", desk.folder / "home" / "genesis.json")
    assert (code, "is a genesis that nobody signed a plan for; its id is" in said) == (2, True)
