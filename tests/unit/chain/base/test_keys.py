"""Keys, the acceptance rule on published vectors, and did:key."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from chain.base import keys
from chain.base.errors import InvariantBroken, OperatorError, Reason, Refused
from chain.base.keys import SecretKey, check_public_key, derive_seed, did_from_key, key_from_did, verify

VECTORS = Path(__file__).parents[3] / "vectors" / "ed25519"
P = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# Every 32 bytes that some decoder takes for a point of small order: y reduced or not, either sign of x.
SMALL_ORDER = [
    (y | sign << 255).to_bytes(32, "little") for y in (0, 1, P - 1, P, P + 1, ORDER_8, P - ORDER_8) for sign in (0, 1)
]
KEY = SecretKey(bytes(range(32)))


def vectors(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())
    return loaded


def refusal(key: bytes) -> Refused | None:
    try:
        check_public_key(key)
    except Refused as error:
        return error
    return None


class TestSecretKey:
    @pytest.mark.parametrize("vector", vectors("rfc8032.json"), ids=lambda v: v["name"])
    def test_signs_as_rfc_8032_says(self, vector: dict[str, str]) -> None:
        public, message = bytes.fromhex(vector["public_key"]), bytes.fromhex(vector["message"])
        key = SecretKey(bytes.fromhex(vector["secret_key"]))
        assert key.public == public
        assert key.sign(message).hex() == vector["signature"]
        assert verify(public, message, bytes.fromhex(vector["signature"]))
        assert not verify(public, message + b"\x00", bytes.fromhex(vector["signature"]))

    def test_repr_shows_the_public_key_and_no_secret(self) -> None:
        shown = f"{KEY!r} {KEY} {[KEY]}"
        assert did_from_key(KEY.public) in shown
        assert KEY.seed.hex() not in shown
        assert repr(KEY.seed) not in shown

    @pytest.mark.parametrize("size", [0, 31, 33, 64])
    def test_a_seed_of_another_size_is_the_operators_mistake(self, size: int) -> None:
        with pytest.raises(OperatorError, match=f"32 bytes, this one has {size}"):
            SecretKey(bytes(size))
        with pytest.raises(OperatorError, match="32 bytes"):
            SecretKey.generate(bytes(size))

    def test_generate_uses_the_randomness_it_is_given(self) -> None:
        assert SecretKey.generate(KEY.seed).public == KEY.public

    def test_derived_keys_are_hkdf_sha256_and_all_different(self) -> None:
        extracted = hmac.digest(bytes(32), KEY.seed, hashlib.sha256)
        expanded = hmac.digest(extracted, b"goodfaith/derived-key/1/network\x01", hashlib.sha256)
        assert derive_seed(KEY.seed, b"network") == expanded
        assert KEY.derive(b"network").public == SecretKey(expanded).public
        publics = {KEY.public, KEY.derive(b"").public, KEY.derive(b"network").public}
        publics.add(KEY.derive(b"network").derive(b"network").public)
        assert len(publics) == 4


class TestPublicKey:
    def test_accepts_a_generated_key(self) -> None:
        check_public_key(KEY.public)

    @pytest.mark.parametrize("key", SMALL_ORDER, ids=bytes.hex)
    def test_refuses_every_encoding_of_a_small_order_point(self, key: bytes) -> None:
        error = refusal(key)
        assert error is not None
        assert error.reason is Reason.BAD_KEY
        assert not verify(key, b"", bytes(64))

    @pytest.mark.parametrize("excess", range(19))
    @pytest.mark.parametrize("sign", [0, 1])
    def test_refuses_every_y_that_is_not_reduced(self, excess: int, sign: int) -> None:
        with pytest.raises(Refused, match="not in canonical form"):
            check_public_key((P + excess | sign << 255).to_bytes(32, "little"))

    @pytest.mark.parametrize("size", [0, 31, 33])
    def test_refuses_another_size(self, size: int) -> None:
        with pytest.raises(Refused, match=f"32 bytes, this one has {size}"):
            check_public_key(bytes(size))

    def test_refuses_what_is_not_on_the_curve(self) -> None:
        with pytest.raises(Refused, match="not a point of the curve"):
            check_public_key((2).to_bytes(32, "little"))


class TestRule:
    @pytest.mark.parametrize("case", vectors("speccheck.json"), ids=lambda c: f"{c['case']}: {c['what']}")
    def test_speccheck(self, case: dict[str, Any]) -> None:
        public = bytes.fromhex(case["public_key"])
        assert (refusal(public) is None) is case["key_ok"]
        accepted = verify(public, bytes.fromhex(case["message"]), bytes.fromhex(case["signature"]))
        assert accepted is case["accept"]

    @pytest.mark.parametrize("size", [0, 1, 63, 65, 96])
    def test_a_signature_of_another_size_is_not_accepted(self, size: int) -> None:
        signature = KEY.sign(b"message")
        assert not verify(KEY.public, b"message", (signature + bytes(32))[:size])

    def test_bytes_cannot_move_between_signature_and_message(self) -> None:
        signature = KEY.sign(b"message")
        assert verify(KEY.public, b"message", signature)
        assert not verify(KEY.public, b"essage", signature + b"m")
        assert not verify(KEY.public, signature[-1:] + b"message", signature[:-1])

    @pytest.mark.parametrize("size", [0, 31, 33])
    def test_a_key_of_another_size_accepts_nothing(self, size: int) -> None:
        assert not verify((KEY.public + b"\x00")[:size], b"message", KEY.sign(b"message"))


class TestSelfTest:
    def test_passes_with_the_libraries_installed(self) -> None:
        keys.self_test()

    @pytest.mark.parametrize("probe", keys._PROBES, ids=lambda probe: probe.what)
    def test_finds_a_library_that_differs_in_one_point(
        self, probe: keys._Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def deviating(public: bytes, message: bytes, signature: bytes) -> bool:
            return verify(public, message, signature) is not (signature.hex() == probe.signature)

        monkeypatch.setattr(keys, "verify", deviating)
        with pytest.raises(InvariantBroken, match=probe.what):
            keys.self_test()

    @pytest.mark.parametrize(("name", "message"), [("on curve", "takes any"), ("none", "refuses a good")])
    def test_finds_a_library_that_misjudges_keys(
        self, name: str, message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def add(point: bytes, _other: bytes) -> bytes:
            if name == "none":
                raise RuntimeError
            return point

        monkeypatch.setattr(keys, "crypto_core_ed25519_add", add)
        with pytest.raises(InvariantBroken, match=message):
            keys.self_test()

    def test_finds_a_signer_that_is_not_deterministic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SecretKey, "sign", lambda _self, _message: bytes(64))
        with pytest.raises(InvariantBroken, match="does not sign"):
            keys.self_test()


class TestDid:
    @pytest.mark.parametrize("vector", vectors("did_key.json"), ids=lambda v: v["did"])
    def test_published_names(self, vector: dict[str, str]) -> None:
        public = SecretKey(bytes.fromhex(vector["seed"])).public
        assert did_from_key(public) == vector["did"]
        assert key_from_did(vector["did"]) == public

    @pytest.mark.parametrize(
        ("text", "reason", "detail"),
        [
            ("", Reason.MALFORMED, "begins with did:key:z6Mk"),
            (KEY.public.hex(), Reason.MALFORMED, "begins with did:key:z6Mk"),
            (did_from_key(KEY.public).upper(), Reason.MALFORMED, "begins with did:key:z6Mk"),
            (" " + did_from_key(KEY.public), Reason.MALFORMED, "begins with did:key:z6Mk"),
            ("did:web:example.org", Reason.MALFORMED, "begins with did:key:z6Mk"),
            (did_from_key(KEY.public)[:-1], Reason.MALFORMED, "56 characters, this one has 55"),
            (did_from_key(KEY.public) + "#key", Reason.MALFORMED, "this one has 60"),
            ("did:key:z1" + did_from_key(KEY.public)[9:], Reason.MALFORMED, "this one has 57"),
            ("did:key:z" * 10**6, Reason.MALFORMED, "this one has 9000000"),
            (did_from_key(KEY.public)[:-1] + "0", Reason.MALFORMED, "character 56 .* '0'"),
            ("did:key:zé" + did_from_key(KEY.public)[10:], Reason.MALFORMED, r"character 10 .* '\\xe9'"),
            ("did:key:z" + "1" * 47, Reason.MALFORMED, "not that of an Ed25519 key"),
            # An X25519 key of the same length, from the same published vectors.
            ("did:key:z6LShs9GGnqk85isEBzzshkuVWrVKsRp24GnDuHk8QWkARMW", Reason.MALFORMED, "z6Mk"),
            (did_from_key(SMALL_ORDER[2]), Reason.BAD_KEY, "small order"),
            (did_from_key((2).to_bytes(32, "little")), Reason.BAD_KEY, "not a point"),
        ],
    )
    def test_refuses_anything_else(self, text: str, reason: Reason, detail: str) -> None:
        with pytest.raises(Refused, match=detail) as caught:
            key_from_did(text)
        assert caught.value.reason is reason

    @pytest.mark.parametrize("size", [0, 31, 33])
    def test_only_32_bytes_have_a_name(self, size: int) -> None:
        with pytest.raises(Refused, match="32 bytes"):
            did_from_key(bytes(size))
