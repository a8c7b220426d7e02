"""Why a peer is sent away, said so that it can read it before the connection ends, and what its operator can do.

It is one frame on a stream of its own, under a protocol id that belongs to no network: the canonical encoding of
``[why, seconds, text]``.  The stream is opened, the protocol proposed and the frame sent in one write, and nothing is
waited for but that the peer hangs up.
Source: protocol 7.8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from libp2p.custom_types import TProtocol
from libp2p.utils.varint import encode_uvarint

from chain.base.codec import U32_MAX, array, decode, encode, integer
from chain.base.errors import Reason, Refused
from p2p.frames import proposal

FAREWELL = TProtocol("/goodfaith/refused/1")

MAX_TEXT_BYTES = 200
MAX_REFUSAL_BYTES = MAX_TEXT_BYTES + 16
MAX_CODE = 255

MAX_SHOWN = 64
"""Characters that are shown of what another calls itself or speaks."""

_FAMILY = "/goodfaith/"


class Why(Enum):
    """Why a peer is sent away.  The values are what is sent."""

    OTHER = 0
    NETWORK = 1
    VERSION = 2
    FULL = 3
    GAVE_WAY = 4
    BANNED = 5
    PRIVATE = 6
    UNSERVED = 7


_MEANINGS = {
    Why.OTHER: ("it does not want this node", "ask its operator why"),
    Why.NETWORK: (
        "it belongs to another network",
        "if it should not, give both nodes the same genesis.json, else remove it from peers in config.toml",
    ),
    Why.VERSION: ("it speaks another version of the protocol", "update the older of the two nodes"),
    Why.FULL: (
        "it has no place for another stranger",
        "have its operator name this node in peers, which keeps a place",
    ),
    Why.GAVE_WAY: (
        "it gave the place of this node to another",
        "have its operator name this node in peers, which keeps a place",
    ),
    Why.BANNED: ("it keeps this node out for a while", "check this node's version and clock, if that comes again"),
    Why.PRIVATE: (
        "it is connected to none but the peers that its operator named",
        "have its operator name this node, or name one of its front nodes instead",
    ),
    Why.UNSERVED: ("it was not served what this node claims to have", "check this node's line and disk"),
}


@dataclass(frozen=True)
class Refusal:
    """Why, for how many seconds that holds (0 where that is not known), and a text for people."""

    why: Why
    seconds: int = 0
    text: str = ""

    def encode(self) -> bytes:
        text = self.text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore").encode()
        return encode((self.why.value, min(self.seconds, U32_MAX), text))

    @classmethod
    def decode(cls, data: bytes) -> Refusal:
        """Read one; a reason of a later version is :attr:`Why.OTHER`.  Raises :class:`Refused` ``MALFORMED``."""
        code, seconds, text = array(decode(data, max_bytes=MAX_REFUSAL_BYTES), 3, 3, "a refusal")
        integer(code, 0, MAX_CODE, "the reason of a refusal")
        integer(seconds, 0, U32_MAX, "the seconds of a refusal")
        if type(text) is not bytes or len(text) > MAX_TEXT_BYTES:
            raise Refused(Reason.MALFORMED, "the text of a refusal is not bytes")
        why = Why(code) if code in {each.value for each in Why} else Why.OTHER
        return cls(why, seconds, plain(text.decode(errors="replace"), MAX_TEXT_BYTES))

    @property
    def in_words(self) -> str:
        """What the one says that sends away, for the operator of the one that is sent away."""
        return _MEANINGS[self.why][0] + (f' ("{self.text}")' if self.text else "")

    @property
    def remedy(self) -> str:
        """How long it holds, and what that operator can do."""
        return (f"it says so for {self.seconds} s more; " if self.seconds else "") + _MEANINGS[self.why][1]

    @property
    def on_the_wire(self) -> bytes:
        """All that is written on a new stream."""
        payload = self.encode()
        return proposal(FAREWELL) + encode_uvarint(len(payload)) + payload


def of_another(prefix: str, protocols: Iterable[str], agent: str) -> tuple[Refusal, str]:
    """What a peer is told that does not speak the protocols of ``prefix``, and what it is, in words for us."""
    _, _, version, network, _ = prefix.split("/")
    others = [parts for each in protocols if len(parts := each.split("/")) == 5 and each.startswith(_FAMILY)]
    here = f"this node speaks {prefix}"
    if not others:
        return Refusal(Why.NETWORK, 0, here), f"it speaks no protocol of this kind ({agent or 'and no name'})"
    _, _, its_version, its_network, _ = others[0]
    if its_version != version:
        words = f"it speaks version {its_version} of the protocol, this node version {version}"
        return Refusal(Why.VERSION, 0, here), words
    return Refusal(Why.NETWORK, 0, here), f"its genesis begins with {its_network}, ours with {network}"


def plain(text: str, longest: int = MAX_SHOWN) -> str:
    """What a stranger wrote, as it may stand in a log: one short line of printable characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:longest])
