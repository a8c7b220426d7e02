"""The page for operators and the unit file say what the program does."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import socket
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from node import main
from p2p.local.config import HomeConfig, live_settings
from p2p.local.reload import RELOAD
from p2p.local.supervisor import tell_supervisor
from tests.unit.scripts.test_dashboard import DOCS, alerts

PAGE = (DOCS / "operating.md").read_text("utf-8")
UNIT = DOCS / "goodfaith.service"


def table(heading: str) -> list[list[str]]:
    """The rows of the table that begins with ``heading``."""
    _, _, rest = PAGE.partition(f"| {heading} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_setting_is_explained() -> None:
    when = {True: "at once", False: "at the next start"}
    assert table("setting") == [
        [f"`{item.name}`", when[item.name in live_settings()], item.metadata["comment"]] for item in fields(HomeConfig)
    ]


def test_every_alert_is_explained() -> None:
    assert [name.strip("`") for name, *_ in table("alert")] == list(alerts())


@pytest.mark.parametrize("name", ["operating.md", "recovery.md"])
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (DOCS / name).read_text("utf-8"))
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT, "utf-8")
    return parser


def test_the_unit_runs_a_command_that_there_is() -> None:
    service = unit()["Service"]
    _, name, *options = shlex.split(service["ExecStart"])
    known = {option for parameter in main.commands[name].params for option in parameter.opts}
    assert {option for option in options if option.startswith("--")} <= known
    assert f"-{RELOAD.name.removeprefix('SIG')} " in service["ExecReload"]
    assert service["Type"] == "notify"


def test_the_unit_has_the_passphrase_of_an_encrypted_key_before_it_is_started(tmp_path: Path) -> None:
    """What is typed in the order of the page: else the first start ends, as there is no terminal to ask at."""
    typed = (" init --home ", "    systemd-ask-password", "    sed -i ", "    systemctl enable")
    begin, seal, uncomment, start = (PAGE.index(command) for command in typed)
    assert "--encrypt" in PAGE[begin:seal]
    assert begin < seal < uncomment < start
    copy = shutil.copy(UNIT, tmp_path)
    _, _, script, _ = shlex.split(PAGE[uncomment:].partition("\n")[0])
    subprocess.run(["sed", "-i", script, copy], check=True)
    text = Path(copy).read_text("utf-8")
    assert "\nLoadCredentialEncrypted=passphrase:/etc/goodfaith/passphrase.cred\n" in text
    assert "\nEnvironment=GOODFAITH_PASSPHRASE_FILE=%d/passphrase\n" in text


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd here")
    text = UNIT.read_text("utf-8").replace("/opt/goodfaith/venv/bin/goodfaith", "/bin/true")
    (tmp_path / "goodfaith.service").write_text(re.sub(r"(?m)^#(?=[A-Z]\w+=)", "", text), encoding="utf-8")
    said = subprocess.run(
        [program, "verify", str(tmp_path / "goodfaith.service")], capture_output=True, text=True, check=False
    )
    assert "goodfaith.service" not in said.stderr


def test_a_supervisor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell_supervisor("READY=1")  # nobody wants to know
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        tell_supervisor("READY=1")
        assert own.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell_supervisor("READY=1")  # a supervisor that went away stops no node
