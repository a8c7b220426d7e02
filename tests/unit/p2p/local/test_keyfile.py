"""Key files, plain and encrypted, and where passphrases come from."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey, did_from_key
from node import main
from p2p.local import keyfile
from p2p.local.config import HomeConfig
from p2p.local.home import begin_home, create_home, load_home
from p2p.local.keyfile import open_key, read_key, write_key
from p2p.local.passphrase import MAX_BYTES, Passphrase
from tests.support.commands import exit_code
from tests.support.running import DEADLINE_S, node_command
from tests.support.world import genesis_of

SEED = bytes(range(32))
WORD = "correct horse – battery".encode()
WRONG = "the passphrase does not open"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a second for each guess is one test's matter."""
    monkeypatch.setattr(keyfile, "SCRYPT_COST", 16)


@pytest.fixture
def word_file(tmp_path: Path) -> Path:
    return written(tmp_path / "word", WORD + b"\n")


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def encrypted(path: Path, word: bytes = WORD) -> Path:
    write_key(path, SEED, word)
    return path


def test_an_encrypted_key_is_read_with_its_passphrase(tmp_path: Path, word_file: Path) -> None:
    path = encrypted(tmp_path / "key")
    secret, word = open_key(path, Passphrase(word_file))
    assert (secret.seed, word) == (SEED, WORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SEED.hex().encode() not in path.read_bytes()
    assert SEED not in path.read_bytes()


def test_no_two_files_of_one_key_are_alike(tmp_path: Path) -> None:
    assert encrypted(tmp_path / "one").read_bytes() != encrypted(tmp_path / "two").read_bytes()


def test_it_is_what_openssl_calls_pkcs8_with_scrypt(tmp_path: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    path = encrypted(tmp_path / "key")
    parsed = subprocess.run([program, "asn1parse", "-in", path], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"OBJECT +:(\S+)", parsed) == ["PBES2", "scrypt", "aes-256-cbc"]
    command = [program, "pkcs8", "-in", str(path), "-passin", "stdin", "-outform", "DER"]
    plain = subprocess.run(command, input=WORD + b"\n", capture_output=True, check=True).stdout
    assert SEED in plain
    assert keyfile.SCRYPT_COST == 16


def test_a_guess_costs_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    derived = []
    real = Scrypt

    def noted(**costs: Any) -> Any:
        derived.append((costs["n"], costs["r"], costs["p"]))
        return real(**costs)

    monkeypatch.setattr("p2p.local.keyfile.Scrypt", noted)
    content = encrypted(tmp_path / "key").read_bytes()
    assert derived == [(2**17, 8, 1)]
    assert content.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")


def test_a_file_that_openssl_or_the_library_made_is_read_too(tmp_path: Path, word_file: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(WORD)
    )
    assert read_key(written(tmp_path / "key", content), Passphrase(word_file)).seed == SEED


def test_a_wrong_passphrase_is_one_sentence(tmp_path: Path) -> None:
    path = encrypted(tmp_path / "key")
    # Enough of them that by chance some have the padding of a right one.
    for number in range(600):
        with pytest.raises(OperatorError, match=WRONG):
            read_key(path, Passphrase(written(tmp_path / "word", b"wrong %d\n" % number)))


@pytest.mark.parametrize("length", [40, 100, 200, 260])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, word_file: Path, length: int) -> None:
    path = written(tmp_path / "key", encrypted(tmp_path / "whole").read_bytes()[:length])
    with pytest.raises(OperatorError, match=WRONG):
        read_key(path, Passphrase(word_file))


def test_a_key_of_another_kind_is_refused(tmp_path: Path, word_file: Path) -> None:
    content = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(WORD)
    )
    with pytest.raises(OperatorError, match="another kind than Ed25519"):
        read_key(written(tmp_path / "key", content), Passphrase(word_file))


def test_an_encrypted_key_that_others_can_read_is_refused(tmp_path: Path, word_file: Path) -> None:
    path = encrypted(tmp_path / "key")
    path.chmod(0o644)
    with pytest.raises(OperatorError, match="can be read by others"):
        read_key(path, Passphrase(word_file))


# ------------------------------------------------------------------------------------------------ passphrases


@pytest.mark.parametrize("content", [WORD, WORD + b"\n", WORD + b"\r\n", WORD + b"\nmore\n"])
def test_the_first_line_counts(tmp_path: Path, content: bytes) -> None:
    assert Passphrase(written(tmp_path / "word", content)).of(tmp_path) == WORD


@pytest.mark.parametrize("content", [b"", b"\n", b"\n" + WORD, b"x" * (MAX_BYTES + 1), b"x" * 100_000])
def test_a_file_without_a_passphrase_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(OperatorError, match=r"word must be a passphrase of 1 to 1024 bytes"):
        Passphrase(written(tmp_path / "word", content)).of(tmp_path)


def test_a_passphrase_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"can be read by everybody; run `chmod 600 "):
        Passphrase(written(tmp_path / "word", WORD, 0o644)).of(tmp_path)
    assert Passphrase(written(tmp_path / "word", WORD, 0o440)).of(tmp_path) == WORD


def test_a_passphrase_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nowhere is missing"):
        Passphrase(tmp_path / "nowhere").of(tmp_path)
    with pytest.raises(OperatorError, match=r"descriptor 999 \(Bad file descriptor\)"):
        Passphrase(descriptor=999).of(tmp_path)
    with pytest.raises(OperatorError, match="either --passphrase-file or --passphrase-fd"):
        Passphrase(tmp_path, 3)


def test_a_descriptor_is_read_once(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, WORD)
    os.close(writing)
    passphrase = Passphrase(descriptor=reading)
    assert [passphrase.of(tmp_path), passphrase.of(tmp_path), passphrase.chosen()] == [WORD] * 3
    os.close(reading)


def test_where_nobody_can_be_asked_the_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"is encrypted, and there is no terminal .* --passphrase-file or"):
        read_key(encrypted(tmp_path / "key"))


def test_a_terminal_is_asked_without_echo(tmp_path: Path) -> None:
    path = encrypted(tmp_path / "key")
    process, terminal = pty.fork()
    if process == 0:
        command = node_command("key", "show", "--key", str(path))
        os.execv(command[0], command)
    shown = b""
    while b"Passphrase of" not in shown:
        shown += os.read(terminal, 4_096)
    os.write(terminal, WORD + b"\n")
    with suppress(OSError):  # how the end of a terminal is told
        while part := os.read(terminal, 4_096):
            shown += part
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    os.close(terminal)
    assert did_from_key(SecretKey(SEED).public).encode() in shown
    assert WORD not in shown
    assert b"correct" not in shown


# --------------------------------------------------------------------------------------------------- commands


def new_home(path: Path, *options: Path | str) -> Path:
    assert exit_code(main, ["init", "--home", str(path), "--new-network", "x", *map(str, options)]) == 0
    return path


def test_a_home_can_be_made_with_an_encrypted_key(
    tmp_path: Path, word_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = new_home(tmp_path / "home", "--encrypt", "--passphrase-file", word_file)
    with pytest.raises(OperatorError, match="is encrypted"):
        load_home(home)
    did = did_from_key(load_home(home, Passphrase(word_file)).secret.public)
    capsys.readouterr()
    arguments = ["key", "show", "--home", str(home), "--passphrase-file", str(word_file), "--json"]
    assert exit_code(main, arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["did"], shown["encrypted"]) == (did, True)


def test_a_key_that_was_encrypted_stays_so_in_a_new_home(tmp_path: Path, word_file: Path) -> None:
    key = encrypted(tmp_path / "carried")
    home = new_home(tmp_path / "home", "--key", key, "--passphrase-file", word_file)
    assert open_key(home / "key", Passphrase(word_file))[1] == WORD


def test_a_key_is_encrypted_and_decrypted_in_place(
    tmp_path: Path, word_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = new_home(tmp_path / "home")
    secret = read_key(home / "key")
    options = ["--home", str(home), "--passphrase-file", str(word_file)]
    assert exit_code(main, ["key", "decrypt", *options]) == 2
    assert "is not encrypted; there is nothing to do" in capsys.readouterr().err
    assert exit_code(main, ["key", "encrypt", *options]) == 0
    assert read_key(home / "key", Passphrase(word_file)).seed == secret.seed
    assert exit_code(main, ["key", "encrypt", *options]) == 2
    assert "is encrypted already" in capsys.readouterr().err
    assert exit_code(main, ["key", "decrypt", *options]) == 0
    assert read_key(home / "key").seed == secret.seed
    assert {path.name for path in home.iterdir()} == {"key", "config.toml", "genesis.json", "chain.db"}


def test_a_wrong_passphrase_is_the_operators_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, before = encrypted(tmp_path / "key"), (tmp_path / "key").read_bytes()
    word = written(tmp_path / "word", b"something else\n")
    for name in ("show", "decrypt"):
        assert exit_code(main, ["key", name, "--key", str(path), "--passphrase-file", str(word)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: the passphrase does not open ")
        assert said.count("\n") == 1
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_key_as_it_was(
    tmp_path: Path, word_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = new_home(tmp_path / "home")
    before = (home / "key").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert exit_code(main, ["key", "encrypt", "--home", str(home), "--passphrase-file", str(word_file)]) == 2
    assert "No space left on device), and is as it was" in capsys.readouterr().err
    assert (home / "key").read_bytes() == before
    assert not (home / "key.draft").exists()


def test_every_command_that_opens_a_home_takes_a_passphrase() -> None:
    # A database is brought to another format without the key of its home.
    without_the_key = {"node.py migrate"}

    def leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            return [leaf for child, inner in command.commands.items() for leaf in leaves(inner, f"{name} {child}")]
        return [(name, command)]

    for name, command in leaves(main, "node.py"):
        options = {option for parameter in command.params for option in parameter.opts}
        needs_none = name in without_the_key or "--home" not in options
        assert needs_none or {"--passphrase-file", "--passphrase-fd"} <= options, name


def test_a_node_whose_key_nobody_opens_says_how(tmp_path: Path, word_file: Path) -> None:
    home = new_home(tmp_path / "home", "--encrypt", "--passphrase-file", word_file)
    command = node_command("run", "--home", str(home))
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert "say --passphrase-file or --passphrase-fd" in ended.stderr


def test_a_home_that_waits_for_its_genesis_may_have_an_encrypted_key(tmp_path: Path, word_file: Path) -> None:
    home = tmp_path / "home"
    assert begin_home(home, None, SEED, word=WORD).seed == SEED
    assert begin_home(home, SEED, bytes(32), Passphrase(word_file)).seed == SEED
    create_home(home, genesis_of(1), SEED, HomeConfig(), word=WORD)
    assert load_home(home, Passphrase(word_file)).secret.seed == SEED


def test_a_terminal_is_asked_once_for_each_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(question: str, *_: str, is_new: bool = False) -> bytes:
        asked.append(question)
        return WORD

    monkeypatch.setattr("p2p.local.passphrase._ask", ask)
    passphrase, path = Passphrase(), encrypted(tmp_path / "key")
    assert [read_key(path, passphrase).seed, read_key(path, passphrase).seed] == [SEED, SEED]
    assert asked == [f"Passphrase of {path}"]
