"""What happens to an engine, and what it wants done: two closed unions of frozen data.

Events carry only what was decoded and whose signatures were checked, and, where nobody asked for it, what was admitted
(:mod:`chain.protocol.admission`).  Effects are carried out in order; a :class:`Commit` is durable before the next
effect begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chain.base.errors import Refused
from chain.branches.blockchain import Settled
from chain.consensus.attestations import VerifiedAttestation
from chain.consensus.headers import Header
from chain.consensus.statements import NO_TAG, SignedStatement
from chain.content.blocks import Block, Heading
from chain.content.transactions import VerifiedTransaction
from chain.protocol.admission import AdmittedAnnouncement, AdmittedAttestations, AdmittedBatch, AdmittedClaim
from chain.protocol.clock import Mute
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions

Peer: TypeAlias = str
Request: TypeAlias = GetHeadings | GetBlocks | GetTransactions

# ------------------------------------------------------------------------------------------ events


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; the engine asked for this moment with ``wake_ms``."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A local client wants these recorded."""

    transactions: tuple[VerifiedTransaction, ...]


@dataclass(frozen=True, slots=True)
class Resumed:
    """This node begins anew, and had acknowledged these before."""

    transactions: tuple[VerifiedTransaction, ...]


@dataclass(frozen=True, slots=True)
class TransactionsReceived:
    """Gossip brought these."""

    peer: Peer
    batch: AdmittedBatch


@dataclass(frozen=True, slots=True)
class BlockAnnounced:
    """Gossip brought a header and the ids of its transactions."""

    peer: Peer
    announcement: AdmittedAnnouncement


@dataclass(frozen=True, slots=True)
class AttestationsReceived:
    """A peer passed these on."""

    peer: Peer
    batch: AdmittedAttestations


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """A peer says where it stands."""

    peer: Peer
    claim: AdmittedClaim


@dataclass(frozen=True, slots=True)
class HeadingsReceived:
    """The reply to :class:`GetHeadings`, up to the first that is none."""

    peer: Peer
    request: GetHeadings
    headings: tuple[Heading, ...]


@dataclass(frozen=True, slots=True)
class BlocksReceived:
    """The reply to :class:`GetBlocks`, up to the first that is none."""

    peer: Peer
    request: GetBlocks
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class MissingReceived:
    """The reply to :class:`GetTransactions`."""

    peer: Peer
    request: GetTransactions
    transactions: tuple[VerifiedTransaction, ...]


@dataclass(frozen=True, slots=True)
class ReplyUnderWay:
    """Of a reply of ``size`` bytes so many have arrived."""

    peer: Peer
    request: Request
    received: int
    size: int


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request got no usable reply; ``is_refused`` where the peer answered that it does not have this."""

    peer: Peer
    request: Request
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class PeerLost:
    """A peer is gone."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class WallClockStepped:
    """The wall clock stepped and is ahead of our time by so much; 0 where it agrees with it again."""

    ahead_ms: int


Event: TypeAlias = (
    Tick
    | Submitted
    | Resumed
    | TransactionsReceived
    | BlockAnnounced
    | AttestationsReceived
    | StatusReceived
    | HeadingsReceived
    | BlocksReceived
    | MissingReceived
    | ReplyUnderWay
    | RequestFailed
    | PeerLost
    | WallClockStepped
)

# ------------------------------------------------------------------------------------------ effects


@dataclass(frozen=True, slots=True)
class SigningState:
    """What this validator said last; it never signs a slot at or below ``slot`` again.

    ``mhg`` is the largest height that it ever spoke at; ``last_*`` are the last statement's, of either kind, and what
    it says next has a larger ``(mhp, height)``.  ``tag`` names this state.
    """

    slot: int = 0
    mhg: int = 0
    last_mhp: int = 0
    last_height: int = 0
    last_id: bytes = b""
    tag: bytes = NO_TAG

    @property
    def last(self) -> tuple[int, int]:
        """``(mhp, height)`` of the last statement."""
        return self.last_mhp, self.last_height


@dataclass(frozen=True, slots=True)
class Commit:
    """Make durable, all or nothing.

    ``abandoned`` leave the main chain, ``adopted`` enter it, ``side`` are stored beside it; ``settled`` moves
    the state on disk; ``signing`` replaces the signing state, which ``is_signing_lost`` where the key spoke elsewhere;
    ``waiting`` is what this node acknowledged and no block holds yet.
    """

    abandoned: tuple[Block, ...] = ()
    adopted: tuple[Block, ...] = ()
    side: tuple[Block, ...] = ()
    finalized_height: int | None = None
    settled: Settled | None = None
    signing: SigningState | None = None
    is_signing_lost: bool = False
    waiting: tuple[VerifiedTransaction, ...] | None = None


@dataclass(frozen=True, slots=True)
class AnnounceBlock:
    """Publish this block to everybody."""

    block: Block


@dataclass(frozen=True, slots=True)
class SendAttestations:
    """Pass these on to everybody; what was sent before is sent again while no block carries it."""

    attestations: tuple[VerifiedAttestation, ...]


@dataclass(frozen=True, slots=True)
class GossipTransactions:
    """Publish these to everybody, batched."""

    transactions: tuple[VerifiedTransaction, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request; the reply comes back as an event, or :class:`RequestFailed` does."""

    peer: Peer
    request: Request


@dataclass(frozen=True, slots=True)
class AskStatus:
    """Ask a peer where it stands; :class:`StatusReceived` follows if it answers."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Penalise:
    """A peer did what no honest peer does."""

    peer: Peer
    refusal: Refused


@dataclass(frozen=True, slots=True)
class Dismiss:
    """A peer never makes good what it claims: let another have its place."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcome of :class:`Submitted`, one a transaction: None where it was taken."""

    outcomes: tuple[Refused | None, ...]


@dataclass(frozen=True, slots=True)
class HeadMoved:
    """For logs and metrics: the head is another block; ``depth`` blocks were abandoned."""

    header: Header
    transactions: int
    depth: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Finalized:
    """For logs and metrics: everything up to ``header`` is final."""

    header: Header


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two statements that one validator must not both have signed."""

    first: SignedStatement
    second: SignedStatement


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the operator may want to read: a short stable name and a sentence."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """For logs and metrics: something in a block was not done, for a fault of ours (:mod:`chain.register.fence`)."""

    text: str


@dataclass(frozen=True, slots=True)
class FollowWallClock:
    """Step to the wall clock: from the next event on its time is ours."""


@dataclass(frozen=True, slots=True)
class Silenced:
    """For logs and metrics: from now on this validator makes no blocks, for another reason, or (None) it does again."""

    mute: Mute | None

    @property
    def notice(self) -> Notice:
        """The same in words."""
        if self.mute is None:
            return Notice("signing_again", "nothing keeps this validator silent any more")
        return Notice("silent", str(self.mute))


Effect: TypeAlias = (
    Commit
    | AnnounceBlock
    | SendAttestations
    | GossipTransactions
    | Ask
    | AskStatus
    | Penalise
    | Dismiss
    | Outcomes
    | HeadMoved
    | Finalized
    | Equivocation
    | Notice
    | Fault
    | FollowWallClock
    | Silenced
)
