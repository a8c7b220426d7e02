"""The commands of ``registry.py`` against a fake node that knows the real rules."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from chain.base.codec import decode
from chain.base.errors import Reason, Refused
from chain.base.keys import SecretKey, did_from_key, key_from_did
from chain.content.actions import (
    AUDIT,
    Action,
    Anchor,
    Answer,
    FileRecord,
    Object,
    Propose,
    Rate,
    Repair,
    Rule,
    Statement,
)
from chain.content.genesis import Genesis, found_genesis
from chain.content.kinds import MAX_TRANSACTION_BYTES
from chain.content.policyfile import shipped_policy
from chain.content.proposals import ALL_RIGHTS, Accredit, Amend, Proposal, ReweighValidator
from chain.content.transactions import Transaction, decode_transaction, verify_transaction
from chain.disk.enquiries import objections
from chain.disk.inspection import View
from chain.documents.chronicle import describe_refusal
from chain.documents.institutions import motions_document, policy_document
from chain.documents.people import as_of, members, records_document
from chain.register import deadlines
from chain.register import registry as rules
from chain.register.draft import Draft
from chain.register.entries import Record
from chain.register.registry import genesis_state
from chain.register.state import due_slot
from chain.register.statekeys import member_key, record_key
from chain.register.view import MemoryView, StateView
from p2p.client import Announced, Client, Found, NodeStatus
from p2p.following import Follower, Until
from p2p.local.keyfile import read_key, write_key
from scripts.registry import registry
from scripts.registry_parts import session
from tests.support.client import Ended, run_client
from tests.support.commands import exit_code
from tests.support.register import altered
from tests.support.world import secret

HOUR_MS = 3_600_000
VALIDATOR = secret(1)
TOWN = found_genesis(
    "town",
    altered(shipped_policy("municipal"), rights={"lookback_days": 99}),
    [VALIDATOR.public],
    genesis_time_ms=20_000 * 24 * HOUR_MS,
    slot_ms=HOUR_MS,
)
MARKET = found_genesis("market", shipped_policy("marketplace"), [VALIDATOR.public], genesis_time_ms=0, slot_ms=1000)


DAY_SLOTS = 24


class FakeNode:
    """Each submitted transaction is a block of its own, final but for the last ``pending``; slots are moved by hand.

    With ``is_stalled`` nothing enters a block, with ``is_away`` nobody answers, and with ``loses_answers`` what is
    submitted is taken without a word.
    """

    def __init__(self, genesis: Genesis, slot: int = 1) -> None:
        self.genesis = genesis
        self.slot = slot
        self.height = 0
        self.state: dict[bytes, bytes] = genesis_state(genesis)
        self.blocks: dict[str, int] = {}
        self.taken: list[Transaction] = []
        self.pending = 0
        self.is_stalled = False
        self.is_away = False
        self.loses_answers = False
        self.hides_motions = False
        self.transport = httpx.MockTransport(self._answer)

    @property
    def view(self) -> StateView:
        return MemoryView(self.state, self.genesis, self.height, self.slot, is_final=True)

    def last(self) -> Action:
        """What was submitted last."""
        return self.taken[-1].action

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_away or (self.hides_motions and request.url.path == "/motions"):
            raise httpx.ConnectError("refused")
        match request.method, request.url.path.split("/")[1:]:
            case "GET", ["status"]:
                document: Any = dict.fromkeys(NodeStatus.__annotations__) | {
                    "chain_id": self.genesis.id.hex(),
                    "height": self.height,
                    "finalized_height": self.height - self.pending,
                }
            case "GET", ["genesis"]:
                return httpx.Response(200, text=self.genesis.to_json())
            case "GET", ["policy"]:
                document = policy_document(self.view)
            case "GET", ["records", did]:
                document = records_document(self.view, key_from_did(did))
            case "GET", ["objections"]:
                suspended = [identity for identity, entry in members(self.view) if entry.suspended]
                reader = SimpleNamespace(suspended=lambda: suspended)
                commit = SimpleNamespace(state=self.view, at_state=as_of(self.view), reader=reader)
                document = objections(cast("View", commit))
            case "GET", ["motions"]:
                document = motions_document(self.view)
            case "GET", ["account", did]:
                document = self._account(key_from_did(did))
            case "GET", ["transactions", digits]:
                document = self._find(digits)
            case "POST", ["trial" | "transactions" as path]:
                (raw,) = decode(request.content, max_bytes=MAX_TRANSACTION_BYTES + 9, max_items=1)
                document = {"outcomes": [self._outcome(raw, is_kept=path == "transactions")]}
                if path == "transactions" and self.loses_answers:
                    raise httpx.ReadTimeout("no answer")
            case _:
                return httpx.Response(404, text="Not Found")
        return httpx.Response(200, json=document)

    def _account(self, key: bytes) -> dict[str, Any]:
        account, identity = self.view.account(key), self.view.identity(key)
        nonce = 0 if account is None else account.nonce
        return {
            "nonce": nonce,
            "next_free": nonce,
            "identity": did_from_key(identity),
            "successor": did_from_key(account.successor) if account is not None and account.successor else None,
            "member": self.view.get(member_key(identity)) is not None,
            "authority": self.view.authority(identity) is not None,
            "validator": any(seat.key == key for seat in self.view.validators.active),
            "slot": self.slot,
            "height": self.height,
            "policy_version": self.view.rules.version,
        }

    def _due(self) -> list[bytes]:
        """The records about which the chain itself does something now."""
        records = [key for key in self.state if key.startswith(b"d")]
        return [key for key in records if (due_slot(key, self.state[key]) or 0) <= self.slot]

    def _find(self, digits: str) -> dict[str, Any]:
        if digits in self.blocks:
            return {"state": "final", "height": self.blocks[digits]}
        is_waiting = any(item.id.hex() == digits for item in self.taken)
        return {"state": "waiting" if is_waiting else "unknown", "height": None}

    def _outcome(self, raw: bytes, *, is_kept: bool) -> Mapping[str, str] | None:
        try:
            transaction = verify_transaction(decode_transaction(raw), self.genesis.id)
            draft = Draft(self.state, self.genesis, self.height + 1, self.slot)
            for key in self._due():
                deadlines.fall_due(draft, key)
            rules.apply(draft, transaction)
        except Refused as refusal:
            return describe_refusal(refusal)
        if is_kept:
            self.taken.append(transaction)
            if not self.is_stalled:
                self.state.update({key: after for key, (_, after) in draft.changes.items() if after is not None})
                for key, (_, after) in draft.changes.items():
                    if after is None:
                        del self.state[key]
                self.height += 1
                self.blocks[transaction.id.hex()] = self.height
        return None


class Desk:
    """A folder of keys and papers, and a fake node."""

    def __init__(self, folder: Path, node: FakeNode) -> None:
        self.folder = folder
        self.node = node
        (folder / "paper").write_bytes(b"what happened")
        (folder / "paper.salt").write_text("07" * 16 + "\n", encoding="ascii")
        self.paper = str(folder / "paper")
        for number, name in enumerate(
            ("validator", "ann", "bob", "office", "court", "bench", "cleo", "new", "newer"), 1
        ):
            write_key(folder / name, secret(number).seed)

    def key(self, name: str) -> SecretKey:
        return read_key(self.folder / name)

    def did(self, name: str) -> str:
        return did_from_key(self.key(name).public)

    def ends(self, *arguments: str, key: str) -> Ended:
        return run_client(*arguments, "--key", str(self.folder / key), transport=self.node.transport)

    def act(self, *arguments: str, key: str) -> Any:
        """A command that is done: its document."""
        ended = self.ends(*arguments, "--json", key=key)
        assert ended.code == 0, (arguments, ended)
        return ended.document

    def refusal(self, *arguments: str, key: str) -> str:
        """Why a command is refused."""
        ended = self.ends(*arguments, "--json", key=key)
        assert ended.code == 1, (arguments, ended)
        reason: str = ended.document["refused"]
        return reason


@pytest.fixture
def market(tmp_path: Path) -> Desk:
    """Everybody may enrol; Ann and Bob have."""
    desk = Desk(tmp_path, FakeNode(MARKET))
    for name in ("ann", "bob"):
        desk.act("enrol", key=name)
    return desk


@pytest.fixture
def town(tmp_path: Path) -> Desk:
    """The office files loans and enrols, the court rules, Ann is a member."""
    desk = Desk(tmp_path, FakeNode(TOWN))
    desk.act("motion", "accredit", desk.did("office"), "--category", "1", "--registrar", key="validator")
    desk.act("motion", "accredit", desk.did("court"), "--arbiter", key="validator")
    for number, who in enumerate(("office", "court")):
        desk.act("consent", str(number), key=who)
    desk.act("enrol", "--registrar-key", str(tmp_path / "office"), key="ann")
    return desk


def file(desk: Desk) -> None:
    arguments = ("--category", "1", "--severity", "minor", "--established", "0", "--evidence", desk.paper)
    desk.act("record", desk.did("ann"), *arguments, key="office")


def standing_record(desk: Desk, number: int = 0) -> Record:
    found = desk.node.view.get(record_key(desk.key("ann").public, number))
    assert isinstance(found, Record)
    return found


PAPER = sha256(bytes([7]) * 16 + b"what happened").digest()


# ------------------------------------------------------------------------------------------------------- keys


def test_a_key_is_made_once_and_shown_without_its_secret(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = run_client("key", "new", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.stdout.strip() == did_from_key(read_key(path).public)
    shown = run_client("key", "show", str(path), "--json")
    assert shown.document == {"did": made.stdout.strip()}
    assert read_key(path).seed.hex() not in made.stdout + made.stderr + shown.stdout
    again = run_client("key", "new", str(path))
    assert (again.code, "never overwritten" in again.stderr) == (2, True)
    assert run_client("key", "new", str(tmp_path / "no" / "key")).code == 2


def test_a_key_that_is_missing_or_open_is_the_operators_mistake(market: Desk) -> None:
    missing = market.ends("enrol", key="nobody")
    assert (missing.code, "registry.py key new" in missing.stderr) == (2, True)
    (market.folder / "bob").chmod(0o644)
    assert "chmod 600" in market.ends("enrol", key="bob").stderr
    nobody = run_client("enrol", transport=market.node.transport)
    assert (nobody.code, "--key FILE" in nobody.stderr) == (2, True)


def test_a_rotation_moves_to_the_new_key(market: Desk) -> None:
    market.act("rotate", "--new-key", str(market.folder / "court"), key="ann")
    assert market.refusal("rate", market.did("bob"), "--category", "trade", "--points", "1", key="ann") == "rotated_key"
    market.act("rate", market.did("bob"), "--category", "trade", "--points", "1", key="court")
    left = market.act("status", key="ann")
    assert (left["successor"], left["may"]) == (market.did("court"), [])


# ---------------------------------------------------------------------------------------------------- members


def test_a_rating_is_signed_sent_and_final(market: Desk) -> None:
    done = market.act("rate", market.did("bob"), "--category", "trade", "--points", "-7", key="ann")
    assert market.node.last() == Rate(market.key("bob").public, 1, -7)
    assert {name: done[name] for name in ("kind", "state", "height", "nonce", "actor")} == {
        "kind": "rate",
        "state": "final",
        "height": 3,
        "nonce": 1,
        "actor": market.did("ann"),
    }
    plain = market.ends("rate", market.did("bob"), "--category", "trade", "--points", "5", key="ann")
    assert plain.stdout == f"rate {market.node.taken[-1].id.hex()} is final in block 4\n"


def test_a_report_is_anchored_by_the_digests_of_its_manifest(market: Desk, tmp_path: Path) -> None:
    digests = {name: f"{number:064x}" for number, name in enumerate(("data", "code", "asked", "result"), 1)}
    manifest = {"format": 1, "data": {}, "asked": {}, "code": {}, "digests": digests}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    market.act("anchor", str(tmp_path / "manifest.json"), key="ann")
    assert market.node.last() == Anchor(AUDIT, *(bytes.fromhex(digest) for digest in digests.values()))
    assert market.refusal("anchor", str(tmp_path / "manifest.json"), key="office") == "not_enrolled"
    ended = market.ends("anchor", market.paper, key="ann")
    assert (ended.code, "is not the manifest of a report" in ended.stderr) == (2, True)


def test_a_refusal_says_the_rule_and_what_is_needed(market: Desk) -> None:
    ended = market.ends("rate", market.did("office"), "--category", "trade", "--points", "5", key="ann")
    assert (ended.code, ended.stdout) == (1, "")
    assert "refused: nothing was changed (not_enrolled)" in ended.stderr
    assert "Nothing is recorded about a key that has not enrolled" in ended.stderr
    assert f"  here    {market.did('office')} is not enrolled\n" in ended.stderr
    assert "the enrolment of that key" in ended.stderr
    assert len(market.node.taken) == 2, "what is refused is not sent"


def test_a_dry_run_sends_nothing(market: Desk) -> None:
    arguments = ("rate", market.did("bob"), "--category", "1", "--points", "5", "--dry-run")
    told = market.act(*arguments, key="ann")
    assert (told["state"], sha256(bytes.fromhex(told["raw"])).hexdigest()) == ("possible", told["id"])
    assert "nothing was sent" in market.ends(*arguments, key="ann").stdout
    assert len(market.node.taken) == 2


def test_a_consent_is_passed_on_as_a_token(town: Desk) -> None:
    assert town.refusal("enrol", key="bob") == "no_consent"
    given = town.act("cosign", "--member", town.did("bob"), key="office")
    assert given["expiry_height"] == town.node.height + TOWN.max_expiry_blocks // 2
    assert town.act("enrol", "--consent", given["token"], key="bob")["expiry_height"] == given["expiry_height"]
    stranger = town.ends("enrol", "--consent", given["token"], key="court")
    assert (stranger.code, f"this consent is for {town.did('bob')}" in stranger.stderr) == (2, True)
    far = town.ends("cosign", "--member", town.did("bob"), "--valid", str(10**9), key="office")
    assert (far.code, "at most" in far.stderr) == (2, True)


def test_a_consent_of_somebody_else_is_refused(town: Desk) -> None:
    token = town.act("cosign", "--member", town.did("bob"), key="court")["token"]
    assert town.refusal("enrol", "--consent", token, key="bob") == "not_registrar"


def test_a_consent_for_another_network_is_refused(town: Desk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Desk(tmp_path / "elsewhere", FakeNode(MARKET))
    token = elsewhere.act("cosign", "--member", town.did("bob"), key="office")["token"]
    assert town.refusal("enrol", "--consent", token, key="bob") == "bad_signature"


# ------------------------------------------------------------------------------------------------- authorities


def test_a_record_goes_its_way_until_it_is_struck(town: Desk) -> None:
    arguments = ("--category", "loan default", "--severity", "general", "--established", "2024-10-03")
    town.node.slot = 30
    town.act("record", town.did("ann"), *arguments, "--evidence", town.paper, key="office")
    # Day 20,000 is 2024-10-04.
    assert town.node.last() == FileRecord(town.key("ann").public, 1, -20, 2, PAPER, b"", -24, 1)
    town.act("object", "0", "--grounds", town.paper, key="ann")
    assert town.node.last() == Object(town.key("ann").public, 0, PAPER)
    town.act("answer", "maintain", town.did("ann"), "0", "--reason", town.paper, key="office")
    assert town.node.last() == Answer(town.key("ann").public, 0, 3, 0, PAPER)
    strike = ("rule", "strike", town.did("ann"), "0", "--reason-digest", PAPER.hex())
    assert town.refusal(*strike, key="court") == "in_hearing"
    town.node.slot += 5 * DAY_SLOTS
    town.act(*strike, key="court")
    assert town.node.last() == Rule(town.key("ann").public, 0, 1, PAPER)
    assert town.refusal("object", "0", "--grounds", town.paper, key="ann") == "unknown_record"

    # what was struck is not recorded again, but for new evidence, with a reason and the court's consent
    assert town.refusal("record", town.did("ann"), *arguments, "--evidence", town.paper, key="office") == "ended"
    new = ("--evidence-digest", "08" * 32, "--reason", town.paper)
    assert town.refusal("record", town.did("ann"), *arguments, *new, key="office") == "ended"
    consent = ("cosign-reopening", "--issuer", town.did("office"), town.did("ann"), *arguments, *new)
    given = town.act(*consent, key="court")
    assert given["arbiter"] == town.did("court")
    reopen = ("reopen", town.did("ann"), *arguments)
    token = ("--arbiter", town.did("court"), "--consent", given["consent"])
    other = ("--evidence-digest", "09" * 32, "--reason", town.paper)
    assert town.refusal(*reopen, *other, *token, key="office") == "bad_signature"
    town.act(*reopen, *new, *token, key="office")
    assert standing_record(town, 1).is_reopened
    again = ("--arbiter-key", str(town.folder / "court"))
    assert town.refusal(*reopen, *other, *again, key="office") == "already_recorded"
    lacking = town.ends(*reopen, *other, "--arbiter", town.did("court"), key="office")
    assert (lacking.code, "or --arbiter-key FILE" in lacking.stderr) == (2, True)
    cut = town.ends(*reopen, *other, *token[:-1], token[-1][:-2], key="office")
    assert (cut.code, "copy all of what `cosign-reopening` printed" in cut.stderr) == (2, True)


def test_a_document_has_the_same_digest_only_with_its_salt(tmp_path: Path) -> None:
    document, salt = tmp_path / "letter", tmp_path / "letter.salt"
    document.write_bytes(b"Dear Ann")
    first = run_client("digest", str(document), "--json").document
    assert first["salt"] == str(salt)
    kept = bytes.fromhex(salt.read_text(encoding="ascii"))
    assert len(kept) == 16
    assert first["digest"] == sha256(kept + b"Dear Ann").hexdigest()
    assert run_client("digest", str(document)).stdout.strip() == first["digest"]
    salt.unlink()
    assert run_client("digest", str(document)).stdout.strip() != first["digest"]
    salt.write_text("no salt", encoding="ascii")
    assert "is not a salt of 32 hexadecimal digits" in run_client("digest", str(document)).stderr


def test_records_and_motions_are_listed_with_the_numbers_that_they_got(town: Desk) -> None:
    arguments = ("--category", "1", "--severity", "minor", "--established", "0", "--evidence-digest")
    filed = [town.act("record", town.did("ann"), *arguments, bytes([n] * 32).hex(), key="office") for n in (7, 8)]
    assert [done["number"] for done in filed] == [0, 1]
    moved = town.act("motion", "suspend", town.did("office"), key="validator")
    assert moved["number"] == 2
    listed = run_client("records", town.did("ann"), "--json", transport=town.node.transport).document["records"]
    assert [(row["number"], row["status"], row["issuer"]) for row in listed] == [
        (1, "standing", town.did("office")),
        (0, "standing", town.did("office")),
    ]
    shown = run_client("records", town.did("ann"), transport=town.node.transport).stdout
    assert "Records: 2" in shown
    assert "contract or loan default" in shown
    motions = run_client("motions", "--json", transport=town.node.transport).document["motions"]
    assert [(row["number"], row["kind"], row["status"]) for row in motions] == [
        (2, "Suspend", "carried"),
        (1, "Accredit", "carried"),
        (0, "Accredit", "carried"),
    ]
    assert motions[0]["about"] == [town.did("office")]
    assert "Motions: 3" in run_client("motions", transport=town.node.transport).stdout
    about_bob = run_client("records", town.did("bob"), "--json", transport=town.node.transport).document
    assert about_bob["records"] == []
    assert about_bob["as_of_height"] > 0  # the document that a node answers with, as it is


def test_a_ruling_can_uphold(town: Desk) -> None:
    file(town)
    town.act("object", "0", "--grounds", town.paper, key="ann")
    town.act("answer", "maintain", town.did("ann"), "0", "--reason", town.paper, key="office")
    town.node.slot += 5 * DAY_SLOTS
    town.act("rule", "uphold", town.did("ann"), "0", "--reason", town.paper, key="court")
    assert standing_record(town).upheld == 1
    town.act("appeal", "0", "--grounds", town.paper, key="ann")
    assert standing_record(town).is_appealed
    town.node.slot += 5 * DAY_SLOTS
    # there is no other arbiter: the validators decide
    assert town.refusal("rule", "strike", town.did("ann"), "0", "--reason", town.paper, key="court") == "not_drawn"
    town.act("motion", "judge", town.did("ann"), "0", "--verdict", "uphold", key="validator")
    assert standing_record(town).upheld == 2
    assert town.refusal("appeal", "0", "--grounds", town.paper, key="ann") == "already_upheld"
    assert town.refusal("object", "0", "--grounds", town.paper, key="ann") == "already_upheld"


def test_an_arbiter_is_told_when_the_lot_fell_on_it(town: Desk) -> None:
    """Two of them may be drawn; both sides are heard before anybody knows who."""
    town.act("motion", "accredit", town.did("bench"), "--arbiter", key="validator")
    town.act("consent", "2", key="bench")
    town.node.slot += DAY_SLOTS
    file(town)
    town.act("object", "0", "--grounds", town.paper, key="ann")
    town.act("answer", "maintain", town.did("ann"), "0", "--reason", town.paper, key="office")
    strike = ("rule", "strike", town.did("ann"), "0", "--reason", town.paper)
    assert {town.refusal(*strike, key=name) for name in ("court", "bench")} == {"in_hearing"}
    shown = run_client("records", town.did("ann"), transport=town.node.transport).stdout
    assert "the end of the hearing" in shown
    assert [town.act("status", key=name)["to_rule"] for name in ("court", "bench")] == [[], []]
    town.node.slot += 5 * DAY_SLOTS
    town.act("enrol", "--registrar-key", str(town.folder / "office"), key="bob")  # a block, in which the lot is drawn
    waiting = {name: town.act("status", key=name)["to_rule"] for name in ("court", "bench")}
    ((drawn, (matter,)),) = [(name, found) for name, found in waiting.items() if found]
    other = "bench" if drawn == "court" else "court"
    assert (matter["member"], matter["number"], matter["issuer"]) == (town.did("ann"), 0, town.did("office"))
    assert "The lot fell on this key to rule" in town.ends("status", key=drawn).stdout
    assert (
        town.did(drawn)[-12:] in run_client("records", town.did("ann"), "--json", transport=town.node.transport).stdout
    )
    assert town.refusal(*strike, key=other) == "not_drawn"
    town.act(*strike, key=drawn)


def test_guardians_named_at_enrolment_recover_beside_a_registrar(town: Desk, tmp_path: Path) -> None:
    circle = str(tmp_path / "circle.json")
    named = ("--guardian", town.did("ann"), "--guardian", town.did("cleo"), "--threshold", "2", "--out", circle)
    town.act("enrol", "--registrar-key", str(town.folder / "office"), *named, key="bob")
    document = json.loads(Path(circle).read_text(encoding="utf-8"))
    assert (document["member"], document["threshold"]) == (town.did("bob"), 2)

    def vouched(*names: str, new: str = "new") -> list[str]:
        word = ("vouch", town.did("bob"), "--new-key", town.did(new), "--expiry", "500")
        return [part for name in names for part in ("--voucher", town.act(*word, key=name)["token"])]

    recover = ("recover", town.did("bob"), "--guardians", circle)
    assert town.refusal(*recover, *vouched("ann"), key="new") == "not_guardians"
    town.act(*recover, *vouched("ann", "cleo"), key="new")
    town.act("veto", "recovery", key="bob")
    town.act(*recover, *vouched("ann", "office", "cleo", new="newer"), key="newer")
    assert town.refusal("veto", "recovery", key="bob") == "past_veto"
    too_many = town.ends(*recover, *vouched("ann", "office", "court"), key="new")
    assert (too_many.code, "one registrar vouches" in too_many.stderr) == (2, True)


@pytest.mark.parametrize(
    "given", [("--threshold", "1"), ("--out", "circle"), ("--guardian", "DID", "--threshold", "1")]
)
def test_guardians_are_named_whole_or_not_at_all(market: Desk, given: tuple[str, ...]) -> None:
    arguments = [market.did("ann") if each == "DID" else each for each in given]
    ended = market.ends("enrol", *arguments, key="cleo")
    assert (ended.code, "--guardian DID for each, --threshold N and --out FILE" in ended.stderr) == (2, True)


def test_a_record_is_corrected_and_withdrawn(town: Desk) -> None:
    file(town)
    assert town.refusal("answer", "correct", town.did("ann"), "0", "--points", "-30", key="office") == "not_better"
    town.act("answer", "correct", town.did("ann"), "0", "--points", "-5", key="office")
    assert standing_record(town).points == -5
    town.act("answer", "withdraw", town.did("ann"), "0", key="office")
    assert town.refusal("answer", "withdraw", town.did("ann"), "0", key="office") == "unknown_record"


def test_a_repair_is_asked_for_declined_and_approved(town: Desk) -> None:
    start = ("--category", "1", "--severity", "minor", "--established", "now", "--evidence", town.paper)
    town.act("record", town.did("ann"), *start, key="office")
    decide = (town.did("ann"), "0", "--reason", town.paper)
    ask = ("repair", "ask", "0", "--proof", town.paper)
    assert town.refusal("repair", "decline", *decide, key="office") == "repair_not_asked"
    early = town.ends(*ask, "--json", key="ann")
    assert (early.code, early.document["refused"]) == (1, "too_early")
    town.node.slot += 1
    assert early.document["when"] == {"slot 2": "2024-10-04 02:00 UTC"}
    assert "slot 2 is 2024-10-04 02:00 UTC" in early.stderr
    town.act(*ask, key="ann")
    assert town.node.last() == Repair(town.key("ann").public, 0, 1, PAPER)
    town.act("repair", "decline", *decide, key="office")
    town.act(*ask, key="ann")
    assert town.refusal("repair", "decline", *decide, key="office") == "already_declined"
    town.act("repair", "approve", *decide, key="office")
    assert town.refusal(*ask, key="ann") == "unknown_record"


def test_a_statement_stands_beside_the_record_until_it_is_taken_back(town: Desk) -> None:
    file(town)
    town.act("statement", "0", "--statement", town.paper, key="ann")
    assert standing_record(town).statement == PAPER
    town.act("statement", "0", key="ann")
    assert town.node.last() == Statement(town.key("ann").public, 0, b"")
    assert standing_record(town).statement == b""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "the evidence must be given: --evidence FILE, or --evidence-digest HEX"),
        (("--evidence", "nowhere"), "nowhere cannot be used"),
        (("--evidence-digest", "00"), "64 hexadecimal digits"),
        (("--evidence-digest", "zz" * 32), "64 hexadecimal digits"),
        (("--evidence", "x", "--evidence-digest", "00"), "give one of them"),
        (("--evidence-digest", "00" * 32, "--severity", "mild"), "one of 1 minor"),
        (("--evidence-digest", "00" * 32, "--category", "tea"), "choose from 1 contract"),
    ],
)
def test_what_is_written_wrong_is_said_in_a_sentence(town: Desk, arguments: tuple[str, ...], why: str) -> None:
    start = ("record", town.did("ann"), "--category", "1", "--severity", "minor", "--established", "0")
    ended = town.ends(*start, *arguments, key="office")
    assert (ended.code, why in ended.stderr) == (2, True), ended.stderr


def test_who_is_not_named_by_a_did_is_asked_for_one(town: Desk) -> None:
    ended = town.ends("rate", "ann", "--category", "1", "--points", "1", key="bob")
    assert (ended.code, "is not a key like did:key:z6Mk" in ended.stderr) == (2, True)


# ------------------------------------------------------------------------------------------------- validators


def proposed(desk: Desk) -> Proposal:
    action = desk.node.last()
    assert isinstance(action, Propose)
    return action.proposal


def test_an_accreditation_names_categories_rights_and_term(town: Desk) -> None:
    town.act("motion", "accredit", town.did("bob"), "--category", "traffic", "--category", "1", key="validator")
    grant = proposed(town)
    assert isinstance(grant, Accredit)
    assert (grant.rights, len(grant.categories), grant.from_slot) == (0, 2, town.node.slot)
    term = ("--from", "7", "--until", "9")
    town.act(
        "motion", "accredit", town.did("bob"), "--all-categories", "--registrar", "--arbiter", *term, key="validator"
    )
    assert proposed(town) == Accredit(town.key("bob").public, ALL_RIGHTS, tuple(sorted(TOWN.policy.categories)), 7, 9)


def test_an_authority_is_suspended_restored_and_revoked(town: Desk) -> None:
    for verb in ("suspend", "restore", "revoke"):
        town.act("motion", verb, town.did("office"), key="validator")
    assert town.refusal("motion", "restore", town.did("office"), key="validator") == "useless_motion"
    assert town.refusal("motion", "suspend", town.did("court"), key="ann") == "not_validator"


def test_the_validators_change_by_motion(town: Desk) -> None:
    def moved(*arguments: str) -> str:
        return str(town.act("motion", *arguments, key="validator")["number"])

    joining = moved("add-validator", town.did("bob"), "--weight", "1")
    assert town.refusal("consent", joining, key="ann") == "no_newcomer"
    town.act("consent", joining, key="bob")
    assert town.refusal("consent", joining, key="bob") == "motion_closed"
    moved("reweigh", town.did("bob"), "--weight", "2")
    assert proposed(town) == ReweighValidator(town.key("bob").public, 2)
    moved("jail", town.did("bob"))
    assert town.refusal("motion", "jail", town.did("bob"), key="validator") == "already_jailed"
    moved("release", town.did("bob"))
    town.act("consent", moved("replace-validator", town.did("bob"), town.did("court")), key="court")
    moved("remove-validator", town.did("court"))
    assert town.refusal("motion", "remove-validator", town.did("validator"), key="validator") == "no_validator_left"
    assert town.refusal("approve", "0", key="validator") == "motion_closed"
    assert town.refusal("approve", "99", key="validator") == "unknown_motion"


def test_nobody_gives_its_word_for_what_another_motion_may_stand_for(town: Desk) -> None:
    # given a motion in a block that is not final: on another branch its number is another's
    number = str(town.act("motion", "add-validator", town.did("bob"), key="validator")["number"])
    town.node.pending = 1
    for verb, key in (("consent", "bob"), ("approve", "validator")):
        ended = town.ends(verb, number, key=key)
        assert (ended.code, "not final" in ended.stderr) == (2, True)
    town.node.pending = 0
    town.act("consent", number, key="bob")


def test_a_motion_that_waits_for_its_newcomer_says_so(town: Desk) -> None:
    town.act("motion", "add-validator", town.did("bob"), key="validator")
    listed = run_client("motions", transport=town.node.transport).stdout
    assert "open, awaits consent" in listed
    number, may = listed_number(town), town.act("status", key="bob")["may"]
    assert may[0].startswith(f"consent {number}: ")
    assert not any(line.startswith("consent ") for line in town.act("status", key="ann")["may"])


def listed_number(desk: Desk) -> int:
    """The number of the newest motion."""
    motions = run_client("motions", "--json", transport=desk.node.transport).document["motions"]
    return max(int(row["number"]) for row in motions)


def amended(desk: Desk, before: str, after: str) -> str:
    text = (Path(rules.__file__).parents[1] / "policies" / "municipal.toml").read_text(encoding="utf-8")
    assert before in text
    path = desk.folder / "new.toml"
    path.write_text(text.replace("version = 1", "version = 2", 1).replace(before, after, 1), encoding="utf-8")
    return str(path)


def test_an_amendment_is_checked_here_and_announced(town: Desk) -> None:
    worse = amended(town, "from = 1030", "from = 1040")
    assert town.refusal("motion", "amend", "--policy", worse, key="validator") == "worsens_the_past"
    better = amended(town, "from = 1030", "from = 1020")
    assert town.refusal("motion", "amend", "--policy", better, "--effective", "3d", key="validator") == (
        "notice_too_short"
    )
    told = town.ends("motion", "amend", "--policy", better, key="validator").stderr
    assert "tier AA.from: 1030 → 1020" in told
    assert "policy 2 would bind from 2024-12-03 01:00 UTC, if it is carried by 2024-11-03 01:00 UTC" in told
    motion = proposed(town)
    assert isinstance(motion, Amend)
    policy = TOWN.policy
    assert (motion.base_version, motion.effective_slot) == (1, 1 + 24 * (policy.notice_days + policy.motion_days))
    assert town.refusal("motion", "amend", "--policy", better, key="validator") == "stale_policy"
    assert town.ends("motion", "amend", "--policy", "nowhere", key="validator").code == 2
    assert town.ends("motion", "amend", "--policy", town.paper, key="validator").code == 2


# -------------------------------------------------------------------------------------- the node and how it ends


def test_status_says_what_a_key_is_and_may_do(town: Desk) -> None:
    member = town.act("status", key="ann")
    assert (member["member"], member["authority"], member["validator"], member["transactions"]) == (
        True,
        False,
        False,
        1,
    )
    stranger, office, validator = (town.act("status", key=name)["may"] for name in ("bob", "office", "validator"))
    assert stranger == ["enrol --consent TOKEN, with a registrar's consent"]
    assert any(line.startswith("record") for line in office)
    assert any(line.startswith("motion") for line in validator)
    assert "it may now" in town.ends("status", key="ann").stdout


def test_a_wait_that_is_too_long_ends_with_3_and_can_be_taken_up(market: Desk) -> None:
    market.node.is_stalled = True
    arguments = ("rate", market.did("bob"), "--category", "1", "--points", "5", "--timeout", "0")
    late = market.ends(*arguments, "--json", key="ann")
    assert (late.code, late.document["state"]) == (3, "waiting")
    assert f"registry.py transaction {late.document['id']}" in late.stderr
    again = run_client("transaction", late.document["id"], "--wait", "none", "--json", transport=market.node.transport)
    assert (again.code, again.document["state"]) == (0, "waiting")
    none = market.ends(*arguments, "--wait", "none", "--json", key="bob")
    assert (none.code, none.document["refused"]) == (1, "self_rating")


def test_a_transaction_that_the_node_does_not_know_ends_with_1(market: Desk) -> None:
    ended = run_client("transaction", "00" * 32, transport=market.node.transport)
    assert (ended.code, "not known at this node" in ended.stdout) == (1, True)
    assert run_client("transaction", "00", transport=market.node.transport).code == 2


def test_a_taken_transaction_that_becomes_impossible_says_so(market: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    market.node.is_stalled = True
    outcome = market.node._outcome

    def changes_its_mind(raw: bytes, *, is_kept: bool) -> Mapping[str, str] | None:
        if market.node.taken[2:]:
            return describe_refusal(Refused(Reason.ROTATED_KEY, "its owner has moved to another key"))
        return outcome(raw, is_kept=is_kept)

    monkeypatch.setattr(market.node, "_outcome", changes_its_mind)
    ended = market.ends("rate", market.did("bob"), "--category", "1", "--points", "5", "--json", key="ann")
    assert (ended.code, ended.document["refused"], ended.document["dropped"]) == (1, "rotated_key", True)
    assert "taken first, and dropped since" in ended.stderr


def test_what_is_done_is_done_also_where_its_number_cannot_be_asked_for(town: Desk) -> None:
    town.node.hides_motions = True
    done = town.act("motion", "suspend", town.did("office"), key="validator")
    assert (done["state"], "number" in done) == ("final", False)


def test_a_lost_answer_says_how_to_find_out(market: Desk) -> None:
    market.node.loses_answers = True
    ended = market.ends("rate", market.did("bob"), "--category", "1", "--points", "5", key="ann")
    assert ended.code == 2
    assert f"registry.py transaction {market.node.taken[-1].id.hex()}" in ended.stderr


def test_a_node_that_is_away_or_of_another_kind_is_the_operators_matter(market: Desk, tmp_path: Path) -> None:
    market.node.is_away = True
    away = market.ends("enrol", key="ann")
    assert (away.code, "node.py run" in away.stderr) == (2, True)
    old = httpx.MockTransport(lambda _request: httpx.Response(404, text="Not Found"))
    other = run_client("enrol", "--key", str(market.folder / "ann"), transport=old)
    assert (other.code, "a node of this version" in other.stderr) == (2, True)
    assert run_client("enrol", "--key", str(market.folder / "ann"), "--node", "ftp://x").code == 2
    homeless = run_client("status", "--home", str(tmp_path), transport=market.node.transport)
    assert (homeless.code, "no node of" in homeless.stderr) == (2, True)


def test_a_node_of_another_network_is_noticed(market: Desk, tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text(TOWN.to_json(), encoding="utf-8")
    ended = market.ends("enrol", "--genesis", str(genesis), key="court")
    assert (ended.code, "another network" in ended.stderr) == (2, True)
    genesis.write_text(MARKET.to_json(), encoding="utf-8")
    market.act("enrol", "--genesis", str(genesis), key="court")


def test_a_home_gives_address_genesis_and_key(market: Desk, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_key(home / "key", VALIDATOR.seed)
    (home / "genesis.json").write_text(MARKET.to_json(), encoding="utf-8")
    facts = Announced(1, "http://127.0.0.1:4999", "12D3", [], "did:key:z6Mk")
    (home / "node.json").write_text(json.dumps(facts._asdict()), encoding="utf-8")
    ended = run_client("status", "--home", str(home), "--json", transport=market.node.transport)
    assert (ended.code, ended.document["validator"]) == (0, True)
    (home / "node.json").write_text("{}", encoding="utf-8")
    assert "start the node again" in run_client("status", "--home", str(home)).stderr


def test_ctrl_c_while_waiting_says_that_it_goes_on(
    market: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_follower: Follower, _until: Until, _timeout_s: float) -> Found:
        raise KeyboardInterrupt

    monkeypatch.setattr(Follower, "wait", interrupted)
    monkeypatch.setattr(session, "Client", lambda url, _transport: Client(url, market.node.transport))
    arguments = ("rate", market.did("bob"), "--category", "1", "--points", "5", "--key", str(market.folder / "ann"))
    assert exit_code(registry, arguments) == 130
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"registry.py transaction {market.node.taken[-1].id.hex()}" in shown.err
